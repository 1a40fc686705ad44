// Alert rules on what node-exporter measures of volumes below /mnt/scratch, for a plain Prometheus to read.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { NodeExporterAlerts } from "../../components/node-exporter-alerts.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });

const alerts = new NodeExporterAlerts(
  "alerts",
  { environment: pulumi.getStack(), namespace: "monitoring", directories: ["/mnt/scratch"] },
  { provider: cluster },
);

export const configMap = alerts.configMap;
