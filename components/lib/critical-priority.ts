/**
 * A kubelet whose disk is full refuses every new pod, whatever it tolerates, unless its priority is one of the
 * two that Kubernetes brings with it (kubelet/eviction, Admit; kubernetes#40573). No PriorityClass of our own
 * can be as high.
 */
export const NODE_CRITICAL = "system-node-critical";

/** Whether a PriorityClass is one of Kubernetes' own two. */
export function isReserved(priorityClass: string): boolean {
  return priorityClass.startsWith("system-");
}

export interface PriorityQuotaArgs {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly priorityClass: string;
  /** How many such pods there may be. */
  readonly pods: number;
}

/**
 * Leave for pods of a priority. Some clusters (GKE) refuse critical pods outside kube-system unless a quota grants
 * them, and where they don't, it is a bound.
 */
export function buildPriorityQuota({ name, namespace, labels, priorityClass, pods }: PriorityQuotaArgs) {
  return {
    metadata: { name, namespace, labels: { ...labels } },
    spec: {
      hard: { pods: String(pods) },
      scopeSelector: {
        matchExpressions: [{ scopeName: "PriorityClass", operator: "In", values: [priorityClass] }],
      },
    },
  };
}
