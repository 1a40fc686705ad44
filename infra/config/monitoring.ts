import { WORKER_METRICS_PORT } from "@video-storage/contract/metrics";

import { boolean, integer, optional, record, text, unlessEmpty, withDefault } from "../checks.js";
import { image, namespaceName } from "./patterns.js";

/** What is scraped, and by whom; null where the stack has no monitoring. */
export const monitoring = unlessEmpty(
  record({
    /** Of the monitor, which exports what the catalogue says. */
    image,
    /** Of the Pushgateway that the stack runs for its sweeps; or the URL of one that is there. */
    pushgatewayImage: optional(image),
    pushgatewayUrl: optional(
      text(
        /^https?:\/\/[A-Za-z0-9.-]+(?::\d{1,5})?(?:\/[\w./-]*)?$/,
        "an http:// or https:// URL without a user",
      ),
    ),
    /** Namespace of the Prometheus that may scrape. */
    prometheusNamespace: withDefault(namespaceName, "monitoring"),
    /** Whether Prometheus' operator is in the cluster, to be told by ServiceMonitors. */
    operator: withDefault(boolean(), false),
    /** Whether there is a dashboard for Grafana to find. */
    dashboard: withDefault(boolean(), true),
    workerPort: withDefault(integer(1024, 65_535), WORKER_METRICS_PORT),
  }),
);

export type MonitoringConfig = NonNullable<ReturnType<typeof monitoring>>;
