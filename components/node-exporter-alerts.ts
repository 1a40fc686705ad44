import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { ALERTS_CONFIG_MAP, ALERTS_FILE } from "./lib/alerts/config-map.js";
import { buildAlertRules } from "./lib/alerts/rules.js";
import type { AlertRulesArgs } from "./lib/alerts/rules.js";
import { childOptions } from "./lib/child-options.js";
import { labels } from "./lib/labels.js";
import { OPERATOR_API } from "./lib/service-monitors.js";

export interface NodeExporterAlertsArgs extends AlertRulesArgs {
  /** Namespace of the rules' object. */
  readonly namespace: string;
  /**
   * Whether the cluster has Prometheus' operator: then the rules are a PrometheusRule, which it hands on, and else a
   * rule file in a ConfigMap. Default false.
   */
  readonly operator?: boolean;
  /** Labels by which the operator's Prometheus selects its rules, such as `release`. */
  readonly ruleLabels?: Readonly<Record<string, string>>;
}

/**
 * Alert rules: on volumes, by what node-exporter or the kubelet measures, and on sweeps, jobs and the object storage by
 * the metrics of this project where these are exported. A plain Prometheus reads them with `rule_files`.
 */
export class NodeExporterAlerts extends pulumi.ComponentResource {
  /** Name of the ConfigMap or the PrometheusRule. */
  readonly configMap: pulumi.Output<string>;

  constructor(name: string, args: NodeExporterAlertsArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:NodeExporterAlerts", name, {}, opts);
    const options = childOptions(this, opts);
    this.configMap = args.operator
      ? new k8s.apiextensions.CustomResource(`${name}-rule`, buildPrometheusRule(args), options).metadata.name
      : new k8s.core.v1.ConfigMap(`${name}-rules`, buildRulesConfigMap(args), options).metadata.name;
    this.registerOutputs({ configMap: this.configMap });
  }
}

/** The rules as a file for a plain Prometheus. */
export function buildRulesConfigMap(args: NodeExporterAlertsArgs) {
  return {
    metadata: metadata(args),
    data: { [ALERTS_FILE]: `${JSON.stringify(buildAlertRules(args), undefined, 2)}\n` },
  };
}

/** The rules for Prometheus' operator. */
export function buildPrometheusRule(args: NodeExporterAlertsArgs) {
  const { labels: own, ...rest } = metadata(args);
  return {
    apiVersion: OPERATOR_API,
    kind: "PrometheusRule",
    metadata: { ...rest, labels: { ...args.ruleLabels, ...own } },
    spec: buildAlertRules(args),
  };
}

function metadata({ environment, namespace }: NodeExporterAlertsArgs) {
  return { name: ALERTS_CONFIG_MAP, namespace, labels: labels(environment, "alerts") };
}
