// A dashboard of the metrics of this project, for the Grafana whose sidecar looks into the namespace monitoring.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { GrafanaDashboard } from "../../components/grafana-dashboard.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });

const dashboard = new GrafanaDashboard(
  "dashboard",
  {
    environment: pulumi.getStack(),
    namespace: "monitoring",
    source: { by: "node-exporter", directories: ["/mnt/scratch"] },
    bytes: { highPercent: 85, lowPercent: 70 },
    inodes: { highPercent: 85, lowPercent: 70 },
    nearlyFullPercent: 90,
  },
  { provider: cluster },
);

export const configMap = dashboard.configMap;
