import { BatchV1Api, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { METRICS } from "@video-storage/contract/metrics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildWorkerPod } from "../../../components/lib/worker-pod.js";
import { prometheusOf, until } from "../../support/prometheus.js";
import type { TestPrometheus } from "../../support/prometheus.js";
import { nodeCommand, runningEnvironment } from "../../support/running-environment.js";
import type { RunningEnvironment, TestPods } from "../../support/running-environment.js";

/** Slow enough that the last third lasts a minute, in which the prediction has its say. */
const BYTES_A_SECOND = 300 << 10;

let environment: RunningEnvironment;
let pods: TestPods;
let prometheus: TestPrometheus;
let cronJobs: readonly string[];
/** When the sweeps were stopped. */
let stopped: number;

beforeAll(async () => {
  environment = await runningEnvironment();
  pods = environment.pods();
  prometheus = await prometheusOf(environment);
  cronJobs = environment.contract.cleanup.cronJobs;
  // A volume of which no sweep has told yet is none whose sweeps have stopped.
  const { length } = environment.contract.slots;
  await until(
    () => prometheus.samples(METRICS.sweepLastCompletion.name),
    (found) => found.length === length,
  );
  // What it takes to be sure that no sweep comes any more is waited for while a slot fills.
  await suspend(true);
  stopped = Date.now();
});

afterAll(async () => {
  await pods.close();
  await suspend(false);
});

async function suspend(value: boolean): Promise<void> {
  const batch = environment.api(BatchV1Api);
  for (const name of cronJobs) {
    await batch.patchNamespacedCronJob(
      { name, namespace: environment.contract.namespace, body: { spec: { suspend: value } } },
      setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
    );
  }
}

/** Fills its slot evenly, says when it is full, and frees it when it is ended. */
const FILLER = `
  import fs from "node:fs";
  const name = "/tmp/video-jobs/.filler";
  process.on("SIGTERM", () => { fs.rmSync(name, { force: true }); process.exit(); });
  const file = fs.openSync(name, "w");
  const block = Buffer.alloc(${BYTES_A_SECOND} / 4);
  for (;;) {
    try { fs.writeSync(file, block); fs.fsyncSync(file); }
    catch (error) { console.log(JSON.stringify({ event: "result", code: error.code })); break; }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  await new Promise((resolve) => setTimeout(resolve, 3_600_000));`;

describe("a slot that fills", () => {
  const mountpoint = "/mnt/video-jobs/slot-1";
  const ofSlot = async (name: string) =>
    (await prometheus.firing(name)).find(({ labels }) => labels["mountpoint"] === mountpoint);

  it("is told of by prediction and by its level, and no more once it is freed and a sweep's time has passed", async () => {
    const { contract, images } = environment;
    const pod = await pods.create(
      "filler",
      buildWorkerPod({
        ...{
          contract,
          image: images.demoWorker,
          slot: contract.slots[1]!.name,
          tenant: contract.tenants[1]!.id,
        },
        command: nodeCommand(FILLER),
      }),
    );
    const predicted = (await until(() => ofSlot("VideoStorageVolumeFillingUp")))!;
    expect(predicted.labels).toMatchObject({ severity: "critical", environment: "local", fstype: "ext4" });
    expect(predicted.annotations["summary"]).toMatch(
      /^\/mnt\/video-jobs\/slot-1 on [\d.]+:9100 will be out of space within 5m: \d{1,2}\.\d % is left$/,
    );
    const full = (await until(() => ofSlot("VideoStorageVolumeNearlyFull")))!;
    expect(full.annotations["summary"]).toMatch(/ has \d\.\d % of its space left$/);
    expect(full.annotations["runbook_url"]).toBe("docs/runbooks.md#videostoragevolumenearlyfull");
    expect((await pods.said(pod))["code"]).toBe("ENOSPC");
    // The slots beside it are as they were.
    const others = (await prometheus.firing("VideoStorageVolumeNearlyFull")).map(
      ({ labels }) => labels["mountpoint"],
    );
    expect(others).toEqual([mountpoint]);

    await pods.close();
    await until(async () => !(await ofSlot("VideoStorageVolumeFillingUp")));
    await until(async () => !(await ofSlot("VideoStorageVolumeNearlyFull")));
    expect(await prometheus.firing("VideoStorageVolumeNearlyFull")).toEqual([]);
  }, 1_200_000);
});

describe("sweeps that stop", () => {
  it("are told of for each of the volumes, once one must have ended, and no more when they come again", async () => {
    const volumes = environment.contract.slots.map(({ name }) => name).sort();
    const stale = await until(
      () => prometheus.firing("VideoStorageSweepStale"),
      (found) => found.length === volumes.length,
    );
    expect(stale.map(({ labels }) => labels["volume"]).sort()).toEqual(volumes);
    for (const { labels, annotations } of stale) {
      expect(labels).toMatchObject({ severity: "critical", environment: "local" });
      expect(annotations["summary"]).toMatch(
        new RegExp(`^${labels["volume"]} was last swept (\\d+)m \\d+s ago$`),
      );
    }
    // A period, both deadlines, and the two minutes that it waits.
    expect(Date.now() - stopped).toBeGreaterThan((60 + 60 + 120) * 1_000);
    await suspend(false);
    await until(async () => (await prometheus.firing("VideoStorageSweepStale")).length === 0);
    expect(await prometheus.firing("VideoStorageSweepStale")).toEqual([]);
  }, 1_200_000);
});
