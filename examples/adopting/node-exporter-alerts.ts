// Alert rules on what node-exporter measures of volumes below /mnt/scratch, for a plain Prometheus to read.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { NodeExporterAlerts } from "../../components/node-exporter-alerts.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });

const alerts = new NodeExporterAlerts(
  "alerts",
  {
    environment: pulumi.getStack(),
    namespace: "monitoring",
    source: { by: "node-exporter", directories: ["/mnt/scratch"] },
    timing: { periodSeconds: 600, startingDeadlineSeconds: 300, activeDeadlineSeconds: 1800 },
    bytes: { highPercent: 85, lowPercent: 70 },
    inodes: { highPercent: 85, lowPercent: 70 },
  },
  { provider: cluster },
);

export const configMap = alerts.configMap;
