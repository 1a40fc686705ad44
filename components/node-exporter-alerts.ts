import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { buildAlertRules } from "./lib/alert-rules.js";
import type { AlertRulesArgs } from "./lib/alert-rules.js";
import { childOptions } from "./lib/child-options.js";
import { labels } from "./lib/labels.js";

export interface NodeExporterAlertsArgs extends AlertRulesArgs {
  readonly environment: string;
  /** Namespace of the ConfigMap. */
  readonly namespace: string;
}

/** Name of the ConfigMap with the rules. */
export const ALERTS_CONFIG_MAP = "video-storage-alerts";

/** The rules' file in that ConfigMap. JSON, which is YAML too. */
export const ALERTS_FILE = "video-storage.rules.yml";

/** Alert rules for plain Prometheus, as a ConfigMap; it reads the file with `rule_files`. */
export class NodeExporterAlerts extends pulumi.ComponentResource {
  readonly configMap: pulumi.Output<string>;

  constructor(name: string, args: NodeExporterAlertsArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:NodeExporterAlerts", name, {}, opts);
    const rules = new k8s.core.v1.ConfigMap(
      `${name}-rules`,
      {
        metadata: {
          name: ALERTS_CONFIG_MAP,
          namespace: args.namespace,
          labels: labels(args.environment, "alerts"),
        },
        data: { [ALERTS_FILE]: `${JSON.stringify(buildAlertRules(args), undefined, 2)}\n` },
      },
      childOptions(this, opts),
    );
    this.configMap = rules.metadata.name;
    this.registerOutputs({ configMap: this.configMap });
  }
}
