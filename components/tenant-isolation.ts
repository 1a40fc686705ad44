import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { CONTAINER_DEFAULTS } from "./lib/container-limits.js";
import { childOptions } from "./lib/child-options.js";
import { labels } from "./lib/labels.js";
import type { Role } from "./lib/labels.js";
import { buildNetworkPolicies } from "./lib/network-policies.js";
import type { NetworkPolicyArgs } from "./lib/network-policies.js";

export interface TenantIsolationArgs extends NetworkPolicyArgs {
  /**
   * ServiceAccounts of the workers' namespace that something outside the cluster knows by name, and what they must
   * carry for it: of a role, or one more of a tenant's workers. Default: none.
   */
  readonly identities?: readonly {
    readonly serviceAccount: string;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
}

/** Roles that run in the workers' namespace, each under a ServiceAccount of its own name. */
export const WORKLOAD_ROLES = ["worker", "uploader", "cleanup"] as const satisfies readonly Role[];

/** Roles that run in the system namespace; those of the object storage only where it is in the cluster. */
export function systemRoles({
  objectStoragePort,
  monitoring = null,
}: Pick<NetworkPolicyArgs, "objectStoragePort" | "monitoring">): Role[] {
  const objectStorage: Role[] = objectStoragePort === null ? [] : ["object-storage", "object-storage-setup"];
  const monitors: Role[] = monitoring === null ? [] : ["exporter"];
  const pushgateway: Role[] = monitoring?.pushgatewayPort == null ? [] : ["pushgateway"];
  return [...objectStorage, "catalogue-migrations", ...monitors, ...pushgateway];
}

/**
 * The two namespaces, with the restricted Pod Security Standard; a ServiceAccount for each role without a
 * token, except that the cleanup job may look whether a worker's pod still exists; and NetworkPolicies that
 * deny what no role needs. They need a network plugin that enforces them.
 */
export class TenantIsolation extends pulumi.ComponentResource {
  /** Name of the workers' namespace. */
  readonly namespace: pulumi.Output<string>;
  /** Name of the system namespace. */
  readonly systemNamespace: pulumi.Output<string>;

  constructor(name: string, args: TenantIsolationArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:TenantIsolation", name, {}, opts);
    const { environment } = args;

    const workloads = new k8s.core.v1.Namespace(
      `${name}-namespace`,
      buildNamespace(environment, args.namespace),
      childOptions(this, opts),
    );
    const system = new k8s.core.v1.Namespace(
      `${name}-system-namespace`,
      buildNamespace(environment, args.systemNamespace),
      childOptions(this, opts),
    );
    const inside = childOptions(this, opts, { dependsOn: [workloads, system] });
    const { identities = [] } = args;
    const annotationsOf = (account: string) =>
      identities.find(({ serviceAccount }) => serviceAccount === account)?.annotations;
    const ofTenants = identities
      .map(({ serviceAccount }) => serviceAccount)
      .filter((account) => !(WORKLOAD_ROLES as readonly string[]).includes(account));
    for (const account of ofTenants) {
      new k8s.core.v1.ServiceAccount(
        `${name}-${account}`,
        buildServiceAccount(environment, args.namespace, "worker", account, annotationsOf(account)),
        inside,
      );
    }
    for (const [namespace, roles] of [
      [args.namespace, WORKLOAD_ROLES],
      [args.systemNamespace, systemRoles(args)],
    ] as const) {
      for (const role of roles) {
        new k8s.core.v1.ServiceAccount(
          `${name}-${role}`,
          buildServiceAccount(
            environment,
            namespace,
            role,
            role,
            namespace === args.namespace ? annotationsOf(role) : undefined,
          ),
          inside,
        );
      }
    }
    const role = new k8s.rbac.v1.Role(`${name}-cleanup-role`, buildCleanupRole(args), inside);
    new k8s.rbac.v1.RoleBinding(
      `${name}-cleanup-binding`,
      buildCleanupBinding(args),
      childOptions(this, opts, { dependsOn: [workloads, role] }),
    );
    new k8s.core.v1.LimitRange(`${name}-system-limits`, buildSystemLimits(args), inside);
    new k8s.core.v1.ResourceQuota(`${name}-system-quota`, buildSystemQuota(args), inside);
    for (const policy of buildNetworkPolicies(args)) {
      const { namespace, name: policyName } = policy.metadata;
      const side = namespace === args.namespace ? "" : "system-";
      new k8s.networking.v1.NetworkPolicy(`${name}-${side}${policyName}`, policy, inside);
    }

    this.namespace = workloads.metadata.name;
    this.systemNamespace = system.metadata.name;
    this.registerOutputs({ namespace: this.namespace, systemNamespace: this.systemNamespace });
  }
}

export function buildNamespace(environment: string, name: string) {
  return {
    metadata: {
      name,
      labels: {
        ...labels(environment, "isolation"),
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
      },
    },
  };
}

/** The workers' namespace has limits of its own, with those of its claims. */
export function buildSystemLimits({ environment, systemNamespace }: TenantIsolationArgs) {
  return {
    metadata: { name: "system", namespace: systemNamespace, labels: labels(environment, "isolation") },
    spec: { limits: [CONTAINER_DEFAULTS] },
  };
}

/** Room for the set-up jobs, the object storage and their successors during an update; a runaway stops here. */
export function buildSystemQuota({ environment, systemNamespace }: TenantIsolationArgs) {
  return {
    metadata: { name: "system", namespace: systemNamespace, labels: labels(environment, "isolation") },
    spec: { hard: { pods: "20", "count/jobs.batch": "20", "count/cronjobs.batch": "5" } },
  };
}

export function buildServiceAccount(
  environment: string,
  namespace: string,
  role: Role,
  name: string = role,
  annotations: Readonly<Record<string, string>> = {},
) {
  return {
    metadata: {
      name,
      namespace,
      labels: labels(environment, role),
      ...(Object.keys(annotations).length > 0 && { annotations: { ...annotations } }),
    },
    automountServiceAccountToken: false,
  };
}

/** `get` alone: the cleanup job asks for a pod by the name that the job's record gives, and lists nothing. */
export function buildCleanupRole(args: TenantIsolationArgs) {
  return {
    metadata: { name: "cleanup", namespace: args.namespace, labels: labels(args.environment, "cleanup") },
    rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }],
  };
}

export function buildCleanupBinding(args: TenantIsolationArgs) {
  return {
    metadata: { name: "cleanup", namespace: args.namespace, labels: labels(args.environment, "cleanup") },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "cleanup" },
    subjects: [{ kind: "ServiceAccount", name: "cleanup", namespace: args.namespace }],
  };
}
