/** What Prometheus scrapes of the stack, as in docs/monitoring.md; the jobs are the same however it finds them. */

const FROM_PUSHES = "video-storage-pushgateway";
const FROM_PROGRAMS = "video-storage";

const META = "__meta_kubernetes";
const COMPONENT = `${META}_service_label_app_kubernetes_io_component`;

/** Finds the Services by asking Kubernetes, as a user who may list them and their endpoints and pods in both namespaces. */
export function discoveredScrapes(kubeconfig: string, namespaces: readonly string[]): object[] {
  const discovery = {
    kubernetes_sd_configs: [
      { role: "endpoints", kubeconfig_file: kubeconfig, namespaces: { names: [...namespaces] } },
    ],
  };
  const annotated = {
    source_labels: [`${META}_service_annotation_prometheus_io_scrape`, `${META}_endpoint_port_name`],
    regex: "true;metrics",
    action: "keep",
  };
  const named = [
    { source_labels: [`${META}_namespace`], target_label: "namespace" },
    { source_labels: [`${META}_pod_name`], target_label: "pod" },
  ];
  const pushed = (action: "keep" | "drop") => ({ source_labels: [COMPONENT], regex: "pushgateway", action });
  return [
    {
      job_name: FROM_PUSHES,
      // `job`, `environment` and `volume` are the sweep's own, and not the gateway's.
      honor_labels: true,
      ...discovery,
      relabel_configs: [annotated, pushed("keep")],
    },
    { job_name: FROM_PROGRAMS, ...discovery, relabel_configs: [annotated, pushed("drop"), ...named] },
  ];
}

/** Finds them by their names, for a Prometheus in the cluster that may ask Kubernetes nothing. */
export function namedScrapes(
  { namespace, systemNamespace }: { readonly namespace: string; readonly systemNamespace: string },
  ports: { readonly pushgateway: number; readonly exporter: number; readonly workers: number },
): object[] {
  return [
    {
      job_name: FROM_PUSHES,
      honor_labels: true,
      static_configs: [{ targets: [`pushgateway.${systemNamespace}.svc:${ports.pushgateway}`] }],
    },
    {
      job_name: FROM_PROGRAMS,
      static_configs: [{ targets: [`exporter.${systemNamespace}.svc:${ports.exporter}`] }],
      dns_sd_configs: [{ names: [`worker-metrics.${namespace}.svc`], type: "A", port: ports.workers }],
    },
  ];
}
