// The sweep of claims that are bound already, on a catalogue that is there: its Secret `catalogue-cleanup` and the
// ServiceAccount `cleanup`, which may get pods, are in the namespace.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";

import { CleanupCronJob } from "../../components/cleanup-cron-job.js";
import { slotsOf } from "../../components/lib/slots.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });

const HOUR = 3600;
const DAY = 24 * HOUR;
const namespace = "encoders";
const marks = { highWaterPercent: 85, lowWaterPercent: 70 };

const sweep = new CleanupCronJob(
  "cleanup",
  {
    environment: pulumi.getStack(),
    namespace,
    slots: slotsOf([{ name: "node-a", id: 0, slots: 2, directory: "/mnt/scratch" }]),
    image: config.require("cleanupImage"),
    schedule: "*/10 * * * *",
    timeZone: "Etc/UTC",
    activeDeadlineSeconds: HOUR / 2,
    startingDeadlineSeconds: 300,
    checkPods: true,
    catalogueSecret: "catalogue-cleanup",
    objectStorageSecret: null,
    // Read as the sweep reads it, so that what it would refuse is refused here.
    config: parseCleanupConfig({
      version: 1,
      namespace,
      checkPods: true,
      heartbeatTimeoutSeconds: 300,
      retention: {
        uploadedSeconds: HOUR,
        completedSeconds: 7 * DAY,
        failedSeconds: 3 * DAY,
        abandonedSeconds: DAY,
        trashSeconds: HOUR,
        stagedSeconds: 30 * DAY,
        orphanedSeconds: 7 * DAY,
        completedAction: "keep",
      },
      catalogue: { host: "postgres.databases.svc", port: 5432, database: "storage", tls: true },
      objectStorage: null,
      pressure: { bytes: marks, inodes: marks },
    }),
  },
  { provider: cluster },
);

export const cronJobs = sweep.cronJobs;
