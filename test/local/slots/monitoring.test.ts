import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { BatchV1Api } from "@kubernetes/client-node";
import { METRICS } from "@video-storage/contract/metrics";
import type { Metric } from "@video-storage/contract/metrics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildWorkerPod } from "../../../components/lib/worker-pod.js";
import { serveVideo } from "../../../local/demo/source-server.js";
import { keptNetwork } from "../../../local/environment/network.js";
import { runCronJobs } from "../../support/cron-jobs.js";
import { prometheusOf, until } from "../../support/prometheus.js";
import type { TestPrometheus } from "../../support/prometheus.js";
import { environmentWithoutJobs } from "../../support/running-environment.js";
import type { RunningEnvironment, TestPods } from "../../support/running-environment.js";
import { slotsForThisFile } from "../../support/slots-for-this-file.js";

/** What really comes to the local environment's Prometheus, from each place where metrics arise. */

const TENANT = "acme";
const VIDEO_BYTES = 3_000_000;

let environment: RunningEnvironment;
let prometheus: TestPrometheus;
let pods: TestPods;
let slot: string;
let started: number;

const ofSlot = (metric: Metric) => prometheus.samples(`${metric.name}{environment="local",volume="${slot}"}`);
const slots = () => environment.contract.slots.map(({ name }) => name).sort();

const sweepAll = () => runCronJobs(environment.api(BatchV1Api), environment.contract);

slotsForThisFile();
beforeAll(async () => {
  environment = await environmentWithoutJobs();
  prometheus = await prometheusOf(environment);
  pods = environment.pods();
  slot = environment.contract.slots[1]!.name;
  started = Date.now() / 1000;
  const directory = await mkdtemp(join(tmpdir(), "video-storage-monitoring-"));
  const file = join(directory, "video");
  await writeFile(file, Buffer.alloc(VIDEO_BYTES));
  const { hostAddress } = await keptNetwork(environment.stateDirectory);
  const source = await serveVideo(file, hostAddress);
  try {
    const { contract, images } = environment;
    const env = [{ name: "VIDEO_URL", value: source.url }];
    const args = { contract, slot, tenant: TENANT, image: images.demoWorker, env, metrics: true };
    const pod = await pods.create("extract", buildWorkerPod({ ...args, args: ["extract", "stay"] }));
    await pods.said(pod, "written");
    await sweepAll();
  } finally {
    source.close();
    await rm(directory, { recursive: true });
  }
});
afterAll(() => pods?.close());

describe("the local Prometheus", () => {
  it("scrapes the node, the gateway, the exporter and a worker, and each answers", async () => {
    type Targets = { activeTargets: { labels: { job: string }; health: string; lastError: string }[] };
    const found = await until(
      () => prometheus.ask<Targets>("targets"),
      ({ activeTargets }) =>
        activeTargets.length >= 4 && activeTargets.every(({ health }) => health === "up"),
    );
    expect([...new Set(found.activeTargets.map(({ labels }) => labels.job))].sort()).toEqual([
      "node-exporter",
      "video-storage-exporter",
      "video-storage-pushgateway",
      "video-storage-workers",
    ]);
  });

  it("has what a worker does", async () => {
    // Workers that were there before are forgotten once they are no longer scraped.
    const alone = async (query: string) =>
      (
        await until(
          () => prometheus.samples(query),
          (found) => found.length === 1,
        )
      )[0];
    expect(await alone(`${METRICS.workerActiveJobs.name}{tenant="${TENANT}"}`)).toMatchObject({
      labels: { environment: "local", tenant: TENANT },
      value: 1,
    });
    expect(await alone(METRICS.workerWrittenBytes.name)).toMatchObject({ value: VIDEO_BYTES });
  });

  it("has what the catalogue says of it", async () => {
    const { name } = METRICS.jobs;
    const active = await until(
      () => prometheus.samples(`${name}{tenant="${TENANT}",state="active",location="local"}`),
      (found) => (found[0]?.value ?? 0) >= 1,
    );
    expect(active[0]!.labels).toMatchObject({ environment: "local", job: "video-storage-exporter" });
    expect(await prometheus.samples(METRICS.catalogueUp.name)).toMatchObject([{ value: 1 }]);
    expect((await prometheus.samples(METRICS.slotsInUse.name))[0]!.value).toBeGreaterThanOrEqual(1);
    expect(
      (await prometheus.samples(METRICS.slotInfo.name)).map(({ labels }) => labels["volume"]).sort(),
    ).toEqual(slots());
  });

  it("has how the sweep of each slot went, under the sweep's own labels", async () => {
    const { name } = METRICS.sweepLastSuccess;
    const swept = await until(
      () => prometheus.samples(`${name}{environment="local"}`),
      (found) => found.length === slots().length && found.every(({ value }) => value > started),
    );
    for (const { labels } of swept) {
      expect(labels).toMatchObject({ job: "video-storage-cleanup", environment: "local", node: "node-0" });
    }
    expect(swept.map(({ labels }) => labels["volume"]).sort()).toEqual(slots());
    await until(
      () => ofSlot(METRICS.sweepFailed),
      (found) => found.length === 1 && found[0]!.value === 0,
    );
    const held = await until(
      () => ofSlot(METRICS.volumeTenantJobs),
      (found) => found.some(({ labels }) => labels["tenant"] === TENANT),
    );
    expect(held.find(({ labels }) => labels["tenant"] === TENANT)!.value).toBeGreaterThanOrEqual(1);
    const [used, capacity] = [
      await ofSlot(METRICS.volumeUsedBytes),
      await ofSlot(METRICS.volumeCapacityBytes),
    ];
    expect(used[0]!.value).toBeGreaterThan(VIDEO_BYTES);
    expect(used[0]!.value).toBeLessThan(capacity[0]!.value);
  });

  it("has every metric of the registry by now, and none of ours that isn't in it", async () => {
    const ours = async () =>
      (await prometheus.ask<string[]>("label/__name__/values")).filter((name) =>
        name.startsWith("video_storage_"),
      );
    const known = new Map<string, Metric>(Object.values(METRICS).map((metric) => [metric.name, metric]));
    const base = (name: string): string => name.replace(/_(?:bucket|sum|count)$/, "");
    // Nothing has failed, and no job's time has run out between two sweeps.
    const mayBeMissing: string[] = [
      METRICS.workerErrors.name,
      METRICS.eligibleJobs.name,
      METRICS.eligibleBytes.name,
    ];
    const expected = [...known.keys()].filter((name) => !mayBeMissing.includes(name));
    // Some come with the first sweep that has anything to say of them, such as that the bucket was tidied.
    const found = await until(ours, (names) =>
      expected.every((name) => names.includes(name) || names.includes(`${name}_count`)),
    );
    expect(found.filter((name) => !known.has(name) && known.get(base(name))?.type !== "histogram")).toEqual(
      [],
    );
  });
});

describe("the Pushgateway", () => {
  it("that was replaced knows every slot again after its next sweep", async () => {
    const { core, systemNamespace } = environment;
    const of = { namespace: systemNamespace, labelSelector: "app.kubernetes.io/component=pushgateway" };
    const [before] = (await core.listNamespacedPod(of)).items;
    await core.deleteNamespacedPod({ namespace: systemNamespace, name: before!.metadata!.name! });
    const replaced = Date.now() / 1000;
    await until(
      async () => (await core.listNamespacedPod(of)).items,
      (items) =>
        items.length === 1 &&
        items[0]!.metadata!.name !== before!.metadata!.name &&
        items[0]!.status?.containerStatuses?.[0]?.ready === true,
    );
    await sweepAll();
    const swept = await until(
      () => prometheus.samples(`${METRICS.sweepLastCompletion.name}{environment="local"}`),
      (found) => found.length === slots().length && found.every(({ value }) => value > replaced),
    );
    expect(swept.map(({ labels }) => labels["volume"]).sort()).toEqual(slots());
  });
});
