import type { LiveObject } from "./cluster-client.js";

/** Whether what depends on an object may go on. */
export type Readiness =
  | { readonly state: "ready" }
  | { readonly state: "waiting"; readonly detail: string }
  | { readonly state: "failed"; readonly detail: string };

const READY: Readiness = { state: "ready" };

/** As the object's own status tells it. Kinds that nothing waits for are ready at once. */
export function readinessOf(object: LiveObject): Readiness {
  if (object.kind === "Job") return jobReadiness(object);
  if (object.kind === "StatefulSet" || object.kind === "Deployment") return replicasReadiness(object);
  if (object.kind === "ResourceQuota") {
    // Until the quota has counted once it refuses every claim.
    return object.status?.hard ? READY : { state: "waiting", detail: "the quota is counted" };
  }
  return READY;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly message?: string;
}

function jobReadiness({ status = {} }: LiveObject): Readiness {
  const conditions = (status.conditions ?? []) as Condition[];
  const holds = (type: string) => conditions.find((c) => c.type === type && c.status === "True");
  if (holds("Complete")) return READY;
  const failed = holds("Failed");
  if (failed) return { state: "failed", detail: failed.message ?? "the job failed" };
  const failures = Number(status.failed ?? 0);
  return {
    state: "waiting",
    detail: failures > 0 ? `${failures} attempts failed, trying again` : "the job runs",
  };
}

function replicasReadiness({ metadata, spec, status = {} }: LiveObject): Readiness {
  const wanted = ((spec as { replicas?: number } | undefined)?.replicas ?? 1) as number;
  const ready = Number(status.readyReplicas ?? 0);
  const updated = Number(status.updatedReplicas ?? 0);
  const seen = Number(status.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  if (seen && ready >= wanted && updated >= wanted) return READY;
  return { state: "waiting", detail: `${Math.min(ready, updated)} of ${wanted} ready` };
}
