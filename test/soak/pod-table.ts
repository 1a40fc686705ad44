import type { CoreV1Api, V1Pod } from "@kubernetes/client-node";

/** A pod as it was at the last look. */
export interface SeenPod {
  readonly name: string;
  readonly uid: string;
  readonly node: string | undefined;
  readonly phase: string;
  /** The CronJob's Job that it belongs to. */
  readonly job: string | undefined;
  readonly containers: readonly SeenContainer[];
}

export interface SeenContainer {
  readonly name: string;
  /** `containerd://…`, once it has begun. */
  readonly id: string | undefined;
  readonly running: boolean;
  /** Milliseconds since 1970; the whole second before. */
  readonly finishedAt: number | undefined;
}

/** All pods of the workers' namespace, looked at again and again. */
export class PodTable {
  #pods: ReadonlyMap<string, SeenPod> = new Map();
  private readonly core: CoreV1Api;
  private readonly namespace: string;

  constructor(core: CoreV1Api, namespace: string) {
    this.core = core;
    this.namespace = namespace;
  }

  async look(): Promise<void> {
    const { items } = await this.core.listNamespacedPod({ namespace: this.namespace });
    this.#pods = new Map(items.map((pod) => [pod.metadata!.name!, seen(pod)]));
  }

  get(name: string): SeenPod | undefined {
    return this.#pods.get(name);
  }

  get all(): readonly SeenPod[] {
    return [...this.#pods.values()];
  }
}

export function hasEnded({ phase }: SeenPod): boolean {
  return phase === "Succeeded" || phase === "Failed";
}

function seen({ metadata, spec, status }: V1Pod): SeenPod {
  return {
    name: metadata!.name!,
    uid: metadata!.uid!,
    node: spec?.nodeName,
    phase: status?.phase ?? "Unknown",
    job: metadata!.ownerReferences?.find(({ kind }) => kind === "Job")?.name,
    containers: (status?.containerStatuses ?? []).map(({ name, containerID, state }) => ({
      name,
      id: containerID,
      running: state?.running !== undefined,
      finishedAt: state?.terminated?.finishedAt && new Date(state.terminated.finishedAt).getTime(),
    })),
  };
}
