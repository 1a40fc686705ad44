import { METRICS } from "@video-storage/contract/metrics";

import type { Marks } from "../alerts/filling.js";
import { ours } from "../alerts/promql.js";
import type { VolumeSource } from "../alerts/volume-series.js";
import { cappedName } from "../names.js";
import { DATASOURCE, laidOut, SCHEMA_VERSION } from "./model.js";
import type { Dashboard } from "./model.js";
import { rows } from "./rows.js";

export interface DashboardArgs {
  /** Name of the stack, of which the dashboard shows the metrics. */
  readonly environment: string;
  /** Who measures the volumes. */
  readonly source: VolumeSource;
  /** Labels that tell node-exporter's and the kubelet's series of this environment from those of other clusters. */
  readonly sourceLabels?: Readonly<Record<string, string>>;
  /** Between these a sweep keeps a volume's bytes. */
  readonly bytes: Marks;
  /** Between these a sweep keeps a volume's inodes. */
  readonly inodes: Marks;
  /** Percent of a volume in use at which an alert speaks. */
  readonly nearlyFullPercent: number;
}

/** The stack's dashboard, in Grafana's JSON model. Its uid stays, so that links to it do. */
export function buildDashboard(args: DashboardArgs): Dashboard {
  const { environment } = args;
  return {
    // Of at most 40 characters, which is what Grafana takes.
    uid: cappedName(`video-storage-${environment}`, 40),
    title: `Video storage: ${environment}`,
    description:
      "What the storage of video jobs does: volumes, jobs, sweeps, audit, object storage, workers.",
    tags: ["video-storage"],
    schemaVersion: SCHEMA_VERSION,
    editable: false,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    timezone: "browser",
    annotations: { list: [] },
    templating: {
      list: [
        { name: "datasource", label: "Prometheus", type: "datasource", query: "prometheus", hide: 0 },
        {
          name: "tenant",
          label: "Tenant",
          type: "query",
          datasource: DATASOURCE,
          query: { query: `label_values(${ours(METRICS.jobs, environment)}, tenant)`, refId: "tenant" },
          refresh: 2,
          includeAll: true,
          allValue: ".*",
          multi: true,
          current: { text: ["All"], value: ["$__all"] },
          hide: 0,
        },
      ],
    },
    panels: laidOut(rows(args)),
  };
}
