import { EXPORTER_PORT, WORKER_METRICS_PORT } from "@video-storage/contract/metrics";

import {
  EXPORTER,
  PUSHGATEWAY,
  PUSHGATEWAY_PORT,
  WORKER_METRICS,
} from "../../components/lib/monitoring-workloads.js";
import { SYSTEM_NAMESPACE, WORKERS_NAMESPACE } from "../stack.js";

/**
 * What Prometheus scrapes of the stack, by the Services' names alone: it needs no leave to ask Kubernetes, and Debian's
 * is built without that. docs/monitoring.md says the same.
 */
export function stackScrapes(): object[] {
  const target = (service: string, namespace: string, port: number): string =>
    `${service}.${namespace}.svc:${port}`;
  return [
    {
      job_name: "video-storage-pushgateway",
      // `job`, `environment` and `volume` are the sweep's own, and not the gateway's.
      honor_labels: true,
      static_configs: [{ targets: [target(PUSHGATEWAY, SYSTEM_NAMESPACE, PUSHGATEWAY_PORT)] }],
    },
    {
      job_name: "video-storage-exporter",
      static_configs: [{ targets: [target(EXPORTER, SYSTEM_NAMESPACE, EXPORTER_PORT)] }],
    },
    {
      job_name: "video-storage-workers",
      dns_sd_configs: [
        {
          names: [`${WORKER_METRICS}.${WORKERS_NAMESPACE}.svc`],
          type: "A",
          port: WORKER_METRICS_PORT,
          // A worker may live no longer than the thirty seconds after which a name is asked for again by default.
          refresh_interval: "5s",
        },
      ],
    },
  ];
}
