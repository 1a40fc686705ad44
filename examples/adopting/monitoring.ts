// The exporter of a catalogue and the Services that a Prometheus scrapes, for jobs that are there already. What the sweep
// and the workers are told is read from files: `kubectl get configmap` writes them from a stack that runs.
import { readFileSync } from "node:fs";

import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import { WORKER_METRICS_PORT } from "@video-storage/contract/metrics";
import { parseStackContract } from "@video-storage/contract/stack-contract";

import { Monitoring } from "../../components/monitoring.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });
const read = (key: string): unknown => JSON.parse(readFileSync(config.require(key), "utf8"));

const monitoring = new Monitoring(
  "monitoring",
  {
    environment: pulumi.getStack(),
    namespace: "encoders",
    systemNamespace: "encoders-system",
    image: config.require("monitorImage"),
    // The sweeps push to one that is there already.
    pushgatewayImage: null,
    contract: parseStackContract(read("contractFile")),
    cleanupConfig: parseCleanupConfig(read("cleanupFile")),
    catalogueCa: null,
    workerPort: WORKER_METRICS_PORT,
    operator: true,
  },
  { provider: cluster },
);

export const services = monitoring.services;
