import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { childOptions } from "./lib/child-options.js";
import {
  buildExporter,
  buildExporterConfigMap,
  buildExporterService,
  buildPushgateway,
  buildPushgatewayService,
  buildWorkerMetricsService,
  EXPORTER,
  PUSHGATEWAY,
  WORKER_METRICS,
} from "./lib/monitoring-workloads.js";
import type { MonitoringWorkloadArgs } from "./lib/monitoring-workloads.js";
import { buildServiceMonitors } from "./lib/service-monitors.js";

export interface MonitoringArgs extends MonitoringWorkloadArgs {
  /** Whether the cluster has Prometheus' operator, and is to be told of everything by ServiceMonitors. */
  readonly operator: boolean;
}

/**
 * What a Prometheus scrapes: the exporter of the catalogue, a Pushgateway for the sweeps (unless another is used) and a
 * Service by which the workers that serve metrics are found. Depend on the catalogue, which makes the exporter's login,
 * and on the isolation, which makes the ServiceAccounts and opens the way to Prometheus.
 */
export class Monitoring extends pulumi.ComponentResource {
  /** Names of the Services that are scraped. */
  readonly services: pulumi.Output<string>[];

  constructor(name: string, args: MonitoringArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:Monitoring", name, {}, opts);
    const child = (own?: pulumi.CustomResourceOptions) => childOptions(this, opts, own);
    const documents = new k8s.core.v1.ConfigMap(`${name}-exporter`, buildExporterConfigMap(args), child());
    new k8s.apps.v1.Deployment(`${name}-${EXPORTER}`, buildExporter(args), child({ dependsOn: [documents] }));
    const services = [
      new k8s.core.v1.Service(`${name}-${EXPORTER}`, buildExporterService(args), child()),
      new k8s.core.v1.Service(`${name}-${WORKER_METRICS}`, buildWorkerMetricsService(args), child()),
    ];
    if (args.pushgatewayImage !== null) {
      const pushgateway = buildPushgateway(args, args.pushgatewayImage);
      new k8s.apps.v1.Deployment(`${name}-${PUSHGATEWAY}`, pushgateway, child());
      services.push(
        new k8s.core.v1.Service(`${name}-${PUSHGATEWAY}`, buildPushgatewayService(args), child()),
      );
    }
    if (args.operator) {
      for (const monitor of buildServiceMonitors(args)) {
        new k8s.apiextensions.CustomResource(`${name}-${monitor.metadata.name}`, monitor, child());
      }
    }
    this.services = services.map((service) => service.metadata.name);
    this.registerOutputs({ services: this.services });
  }
}
