// A contract of your own making for workers that use `@video-storage/worker`, where the volumes and the catalogue are
// not this project's.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import * as layout from "@video-storage/contract/layout";
import { parseStackContract } from "@video-storage/contract/stack-contract";

import { Contract } from "../../components/contract.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });

const contract = new Contract(
  "contract",
  {
    // Read as workers read it, so that what they would refuse is refused here.
    contract: parseStackContract({
      contractVersion: 1,
      environment: pulumi.getStack(),
      layout: {
        mountPath: layout.JOBS_ROOT,
        sourceFile: layout.SOURCE_FILE,
        metadataFile: layout.METADATA_FILE,
        logsDirectory: layout.LOGS_DIRECTORY,
      },
      namespace: "encoders",
      storageClass: "scratch-ssd",
      uploadGroup: 20_000,
      slotsPerNode: 1,
      slots: [
        {
          name: "node-a-slot-0",
          node: "node-a",
          claim: "node-a-slot-0",
          runAsUser: 21_000,
          capacityBytes: 400 * 2 ** 30,
        },
      ],
      tenants: [{ id: "acme", catalogueSecret: "catalogue-worker-acme", objectStorageSecret: null }],
      uploader: {
        serviceAccount: "uploader",
        catalogueSecret: "catalogue-uploader",
        objectStorageSecret: null,
      },
      worker: { serviceAccount: "worker" },
      catalogue: { host: "postgres.databases.svc", port: 5432, database: "storage", tls: true },
      objectStorage: null,
      retention: {
        uploadedSeconds: 3600,
        completedSeconds: 604_800,
        failedSeconds: 259_200,
        abandonedSeconds: 86_400,
        trashSeconds: 3600,
        stagedSeconds: 2_592_000,
        orphanedSeconds: 604_800,
        completedAction: "keep",
      },
      heartbeatSeconds: 30,
      heartbeatTimeoutSeconds: 300,
      reserveBytes: 2 ** 28,
      cleanup: { schedule: "*/10 * * * *", cronJobs: [] },
      antivirus: { excludePaths: [layout.JOBS_ROOT] },
    }),
  },
  { provider: cluster },
);

export const configMap = contract.configMap;
