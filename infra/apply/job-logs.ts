import type { ClusterClient, LiveObject } from "./cluster-client.js";

/** What a pod that is just starting says of its containers. */
const NOT_YET = ["ContainerCreating", "PodInitializing"];

interface ContainerStatus {
  readonly name: string;
  readonly lastState?: { readonly terminated?: { readonly message?: string } };
  readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
}

/** What a Job's pods wrote last, for the message of its failure. */
export async function jobLogs(client: ClusterClient, job: LiveObject, lines = 40): Promise<string> {
  const namespace = job.metadata.namespace!;
  const pods = await client.pods(namespace, `batch.kubernetes.io/job-name=${job.metadata.name}`);
  const newest = pods.sort((a, b) => creation(b).localeCompare(creation(a)))[0];
  if (!newest) return "";
  const containers = ((newest.spec as { containers?: { name: string }[] }).containers ?? []).map(
    ({ name }) => name,
  );
  const logs = await Promise.all(
    containers.map((name) => client.log(namespace, newest.metadata.name, name, lines)),
  );
  return [podTrouble(newest), ...logs].filter((part) => part !== "").join("\n");
}

/** Why a workload's pods don't run, such as an image that isn't there; empty when nothing is known. */
export async function podsTrouble(client: ClusterClient, workload: LiveObject): Promise<string> {
  const spec = (workload.spec ?? {}) as { selector?: { matchLabels?: Record<string, string> } };
  const wanted = spec.selector?.matchLabels;
  if (!wanted) return "";
  const query = Object.entries(wanted).map(([key, value]) => `${key}=${value}`);
  const pods = await client.pods(workload.metadata.namespace!, query.join(","));
  return [...new Set(pods.map(podTrouble).filter((trouble) => trouble !== ""))].join("; ");
}

function podTrouble(pod: LiveObject): string {
  const status = (pod.status ?? {}) as {
    conditions?: { type: string; status: string; message?: string }[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
  const unscheduled = status.conditions?.find(
    (c) => c.type === "PodScheduled" && c.status === "False",
  )?.message;
  if (unscheduled) return `${pod.metadata.name}: ${unscheduled}`;
  return [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
    .map(({ name, state, lastState }) => ({ name, waiting: state?.waiting, ended: lastState?.terminated }))
    .filter(({ waiting }) => waiting?.reason !== undefined && !NOT_YET.includes(waiting.reason))
    .map(({ name, waiting, ended }) =>
      [`${pod.metadata.name}/${name}: ${waiting!.reason}`, waiting!.message, ended?.message?.trim()]
        .filter((part) => part !== undefined && part !== "")
        .join(" "),
    )
    .join("; ");
}

function creation(pod: LiveObject): string {
  return (pod.metadata as { creationTimestamp?: string }).creationTimestamp ?? "";
}
