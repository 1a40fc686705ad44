import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { childOptions } from "./lib/child-options.js";
import { buildDashboard } from "./lib/dashboard/dashboard.js";
import type { DashboardArgs } from "./lib/dashboard/dashboard.js";
import { labels } from "./lib/labels.js";

export interface GrafanaDashboardArgs extends DashboardArgs {
  /** Namespace of the ConfigMap, in which Grafana's sidecar has to look. */
  readonly namespace: string;
}

/** Name of the ConfigMap with the dashboard. */
export const DASHBOARD_CONFIG_MAP = "video-storage-dashboard";

/** By this label Grafana's sidecar finds dashboards, unless it is told another. */
const SIDECAR_LABEL = { grafana_dashboard: "1" } as const;

/**
 * A dashboard for Grafana, as a ConfigMap that its sidecar takes up: volumes, jobs, sweeps, audit, object storage and
 * workers, from the metrics of this project.
 */
export class GrafanaDashboard extends pulumi.ComponentResource {
  /** Name of the ConfigMap. */
  readonly configMap: pulumi.Output<string>;

  constructor(name: string, args: GrafanaDashboardArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:GrafanaDashboard", name, {}, opts);
    const dashboard = new k8s.core.v1.ConfigMap(
      `${name}-dashboard`,
      buildDashboardConfigMap(args),
      childOptions(this, opts),
    );
    this.configMap = dashboard.metadata.name;
    this.registerOutputs({ configMap: this.configMap });
  }
}

/** The dashboard as a file for Grafana. */
export function buildDashboardConfigMap(args: GrafanaDashboardArgs) {
  const { environment, namespace } = args;
  return {
    metadata: {
      name: DASHBOARD_CONFIG_MAP,
      namespace,
      labels: { ...labels(environment, "dashboard"), ...SIDECAR_LABEL },
    },
    // Grafana's sidecar writes every dashboard into one directory, so that the file's name must be its own.
    data: { [`video-storage-${environment}.json`]: `${JSON.stringify(buildDashboard(args))}\n` },
  };
}
