import { setTimeout as sleep } from "node:timers/promises";

import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import type { V1Pod } from "@kubernetes/client-node";

import { apiClient } from "../api-client.js";
import { Failure } from "../failure.js";

/** Marks the pods that `npm start` makes, and them alone. */
export const RUN_LABEL = "video-storage/demo-run";

/** The pods of one run of jobs. */
export class Pods {
  private readonly api: CoreV1Api;
  private readonly namespace: string;
  private readonly run: string;

  constructor(kubeconfig: string, namespace: string, run: string) {
    this.namespace = namespace;
    this.run = run;
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    this.api = apiClient(config, CoreV1Api);
  }

  /** Creates a pod of this run from the metadata and spec of a worker's or uploader's. Returns its name. */
  async create(
    name: string,
    pod: { metadata: { labels: Record<string, string> }; spec: object },
  ): Promise<string> {
    const full = `demo-${this.run}-${name}`;
    const labels = { ...pod.metadata.labels, [RUN_LABEL]: this.run };
    const body = { metadata: { name: full, labels }, spec: pod.spec } as V1Pod;
    await this.api.createNamespacedPod({ namespace: this.namespace, body });
    return full;
  }

  /** Waits until a pod has ended, and returns whether all its containers ended with 0. */
  async ended(name: string, seconds = 180): Promise<boolean> {
    const pod = await this.wait(name, seconds, ({ status }) =>
      /^(Succeeded|Failed)$/.test(status?.phase ?? ""),
    );
    return pod.status?.phase === "Succeeded";
  }

  /** Waits until a pod's log has a JSON line with this event, and returns that line. */
  async said(name: string, event: string, seconds = 180): Promise<Record<string, unknown>> {
    let found: Record<string, unknown> | undefined;
    await this.wait(name, seconds, async ({ status }) => {
      if (!/^(Running|Succeeded|Failed)$/.test(status?.phase ?? "")) return false;
      const log = await this.log(name);
      found = log
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .find((line) => line["event"] === event);
      if (!found && /^(Succeeded|Failed)$/.test(status?.phase ?? "")) {
        throw new Failure(
          `Pod ${name} ended without saying "${event}":\n${log}`,
          "Run npm start -- --again.",
        );
      }
      return found !== undefined;
    });
    return found!;
  }

  async isRunning(name: string): Promise<boolean> {
    const pod = await this.api.readNamespacedPod({ name, namespace: this.namespace }).catch(() => undefined);
    return pod?.status?.phase === "Running";
  }

  /** Deletes the pods of every run but this one. */
  async deleteOthers(): Promise<void> {
    const labelSelector = `${RUN_LABEL},${RUN_LABEL}!=${this.run}`;
    await this.api.deleteCollectionNamespacedPod({
      namespace: this.namespace,
      labelSelector,
      gracePeriodSeconds: 5,
    });
  }

  private async log(name: string): Promise<string> {
    // A log that cannot be read yet will be read at the next look.
    return this.api.readNamespacedPodLog({ name, namespace: this.namespace }).catch(() => "");
  }

  private async wait(
    name: string,
    seconds: number,
    done: (pod: V1Pod) => boolean | Promise<boolean>,
  ): Promise<V1Pod> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const pod = await this.api.readNamespacedPod({ name, namespace: this.namespace });
      if (await done(pod)) return pod;
      if (Date.now() > deadline) {
        const { phase, containerStatuses, conditions } = pod.status ?? {};
        const waiting = containerStatuses?.[0]?.state?.waiting;
        const why =
          waiting?.message ??
          waiting?.reason ??
          conditions?.find(({ status }) => status === "False")?.message;
        throw new Failure(
          `Pod ${name} is still ${phase} after ${seconds} s: ${why ?? "no reason given"}`,
          `kubectl -n ${this.namespace} describe pod ${name}`,
        );
      }
      await sleep(500);
    }
  }
}
