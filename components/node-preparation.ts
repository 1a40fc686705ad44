import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { childOptions } from "./lib/child-options.js";
import { labels } from "./lib/labels.js";
import {
  AGENT_ACCOUNT,
  COLLECTOR_ACCOUNT,
  agentRules,
  buildAgentDaemonSet,
  buildAgentNamespace,
  buildAgentQuota,
  buildAgentNetworkPolicy,
  buildAgentSettings,
  buildCollector,
  buildOwnNodePolicy,
  clusterName,
  collectorName,
  collectorRules,
  groupName,
  makesVolumes,
} from "./lib/node-agent-workloads.js";
import type { KeySecret, NodeAgentArgs, NodeGroup } from "./lib/node-agent-workloads.js";

export type { GroupEncryption, NodeGroup, Toleration } from "./lib/node-agent-workloads.js";

export interface NodePreparationArgs extends NodeAgentArgs {
  /**
   * The key from which every slot's own is derived, where some group is encrypted by a key of a Secret. `generated`
   * makes one and keeps it in the stack's state, encrypted; or name a Secret of the agent's namespace, and the
   * files in it: the first encrypts new slots, and each is tried on old ones.
   */
  readonly key?: "generated" | KeySecret;
  /** Whether the engine refuses to delete a generated key, without which nothing on the slots can be read. */
  readonly protectKey: boolean;
}

const GENERATED_KEY: KeySecret = { name: "node-agent-key", files: ["key"] };

/**
 * The node agents: they make slots of fixed size of local disks, encrypt them where the medium doesn't, mount them,
 * and wipe what claims have released before it is offered again. Runs in a namespace of its own.
 */
export class NodePreparation extends pulumi.ComponentResource {
  /** Names of the DaemonSets, in the order of the groups. */
  readonly daemonSets: pulumi.Output<string>[];

  constructor(name: string, args: NodePreparationArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:NodePreparation", name, {}, opts);
    const { environment, namespace } = args;
    const key = keySecretOf(args);
    const own = new k8s.core.v1.Namespace(
      `${name}-namespace`,
      buildAgentNamespace(args),
      childOptions(this, opts),
    );
    const inside = (more: pulumi.Input<pulumi.Resource>[] = []) =>
      childOptions(this, opts, { dependsOn: [own, ...more] });
    const network = new k8s.networking.v1.NetworkPolicy(
      `${name}-network`,
      buildAgentNetworkPolicy(args),
      inside(),
    );
    const leave = new k8s.core.v1.ResourceQuota(`${name}-priority`, buildAgentQuota(args), inside());
    const keySecret = args.key === "generated" && key ? this.generatedKey(name, args, inside()) : undefined;
    const account = (accountName: string, role: "node-agent" | "volume-collector", rules: object[]) => {
      const metadata = { name: clusterName(args, role), labels: labels(environment, role) };
      const serviceAccount = new k8s.core.v1.ServiceAccount(
        `${name}-${role}`,
        {
          metadata: { name: accountName, namespace, labels: labels(environment, role) },
          // The pods that need a token ask for it.
          automountServiceAccountToken: false,
        },
        inside(),
      );
      const clusterRole = new k8s.rbac.v1.ClusterRole(
        `${name}-${role}`,
        { metadata, rules: rules as k8s.types.input.rbac.v1.PolicyRule[] },
        childOptions(this, opts),
      );
      return new k8s.rbac.v1.ClusterRoleBinding(
        `${name}-${role}`,
        {
          metadata,
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: metadata.name },
          subjects: [{ kind: "ServiceAccount", name: accountName, namespace }],
        },
        childOptions(this, opts, {
          dependsOn: [serviceAccount, clusterRole],
          // Immutable in the API.
          replaceOnChanges: ["roleRef"],
          deleteBeforeReplace: true,
        }),
      );
    };
    const { policy, binding } = buildOwnNodePolicy(args);
    const ownNode = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
      `${name}-own-node`,
      policy,
      childOptions(this, opts),
    );
    const confined = new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
      `${name}-own-node`,
      binding,
      childOptions(this, opts, { dependsOn: ownNode }),
    );
    // Before the rights, so that nobody ever has them unconfined.
    const agents = [confined, network, leave, account(AGENT_ACCOUNT, "node-agent", agentRules(args.groups))];
    const settings = new Map(
      args.groups.map((group) => [
        group.name,
        new k8s.core.v1.ConfigMap(
          `${name}-${groupName(group.name)}`,
          buildAgentSettings(args, group, key),
          inside(),
        ),
      ]),
    );
    this.daemonSets = args.groups.map(
      (group) =>
        new k8s.apps.v1.DaemonSet(
          `${name}-${groupName(group.name)}`,
          buildAgentDaemonSet(args, group, key),
          inside([...agents, settings.get(group.name)!, ...(keySecret ? [keySecret] : [])]),
        ).metadata.name,
    );
    const collected = args.groups.filter(makesVolumes);
    if (collected.length > 0) {
      const collector = account(COLLECTOR_ACCOUNT, "volume-collector", collectorRules(args.groups));
      for (const group of collected) {
        new k8s.apps.v1.Deployment(
          `${name}-${collectorName(group.name)}`,
          buildCollector(args, group),
          inside([network, collector, settings.get(group.name)!]),
        );
      }
    }
    this.registerOutputs({ daemonSets: this.daemonSets });
  }

  private generatedKey(
    name: string,
    args: NodePreparationArgs,
    options: pulumi.CustomResourceOptions,
  ): k8s.core.v1.Secret {
    const bytes = new random.RandomBytes(
      `${name}-key`,
      { length: 64 },
      { parent: this, protect: args.protectKey, ignoreChanges: ["keepers", "length"] },
    );
    return new k8s.core.v1.Secret(
      `${name}-key`,
      {
        metadata: {
          name: GENERATED_KEY.name,
          namespace: args.namespace,
          labels: labels(args.environment, "node-agent"),
        },
        type: "Opaque",
        data: { [GENERATED_KEY.files[0]!]: bytes.base64 },
      },
      options,
    );
  }
}

function usesSecret({ settings: { encryption } }: NodeGroup): boolean {
  return encryption.kind === "luks" && encryption.key === "secret";
}

function keySecretOf({ key, groups }: NodePreparationArgs): KeySecret | null {
  if (!groups.some(usesSecret)) return null;
  if (key === undefined) {
    throw new Error(
      "some group is encrypted by a key of a Secret: give key, as generated or as a Secret's name",
    );
  }
  return key === "generated" ? GENERATED_KEY : key;
}
