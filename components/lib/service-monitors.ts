import { labels, METRICS_LABEL, selectorLabels } from "./labels.js";
import type { MonitoringWorkloadArgs } from "./monitoring-workloads.js";

/** The API that Prometheus' operator brings with it. */
export const OPERATOR_API = "monitoring.coreos.com/v1";

/**
 * What tells Prometheus' operator to scrape the stack's Services. The Pushgateway's own labels are kept: `job`,
 * `environment` and `volume` of what is pushed are those of the sweep, and not of the gateway.
 */
export function buildServiceMonitors(args: MonitoringWorkloadArgs) {
  const { environment, namespace, systemNamespace } = args;
  const monitor = (
    role: "pushgateway" | "exporter" | "worker",
    inNamespace: string,
    endpoint: object,
    selector: Record<string, string>,
  ) => ({
    apiVersion: OPERATOR_API,
    kind: "ServiceMonitor",
    metadata: {
      name: `video-storage-${role}`,
      namespace: inNamespace,
      labels: labels(environment, role),
    },
    spec: {
      namespaceSelector: { matchNames: [inNamespace] },
      selector: { matchLabels: { ...selector, [METRICS_LABEL]: "true" } },
      endpoints: [{ port: "metrics", path: "/metrics", ...endpoint }],
    },
  });
  return [
    ...(args.pushgatewayImage === null
      ? []
      : [
          monitor(
            "pushgateway",
            systemNamespace,
            { honorLabels: true },
            selectorLabels(environment, "pushgateway"),
          ),
        ]),
    monitor("exporter", systemNamespace, {}, selectorLabels(environment, "exporter")),
    monitor("worker", namespace, {}, selectorLabels(environment, "worker")),
  ];
}
