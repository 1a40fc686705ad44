import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { BatchV1Api, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { METRICS } from "@video-storage/contract/metrics";

import { buildWorkerPod } from "../../../components/lib/worker-pod.js";
import { DASHBOARD_CONFIG_MAP } from "../../../components/grafana-dashboard.js";
import { ALERTS_CONFIG_MAP, ALERTS_FILE } from "../../../components/node-exporter-alerts.js";
import type { Dashboard } from "../../../components/lib/dashboard/model.js";
import { buildPrograms } from "../../../local/build/programs.js";
import { run } from "../../../local/command.js";
import { fenced, projectFile } from "../../documents/markdown.js";
import { nodeCommand, sharedEnvironment } from "../../support/shared-environment.js";
import type { SharedEnvironment, TestPods } from "../../support/shared-environment.js";

/** Slow enough that the last third lasts a minute, in which the prediction has its say. */
const BYTES_A_SECOND = 300 << 10;

let environment: SharedEnvironment;
let pods: TestPods;
let prometheus: string;
let cronJobs: readonly string[];
/** When the sweeps were stopped. */
let stopped: number;

beforeAll(async () => {
  environment = await sharedEnvironment();
  pods = environment.pods();
  const addresses = await environment.node.must("ip", ["-json", "-4", "address", "show", "eth0"]);
  prometheus = `http://${/"local":"([\d.]+)"/.exec(addresses)![1]}:9090`;
  cronJobs = environment.contract.cleanup.cronJobs;
  // A volume of which no sweep has told yet is none whose sweeps have stopped.
  const { length } = environment.contract.slots;
  await until(async () => {
    const query = METRICS.sweepLastCompletion.name;
    return (await ask<{ result: unknown[] }>("query", { query })).result.length === length;
  });
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

async function ask<T>(path: string, query: Record<string, string> = {}): Promise<T> {
  const url = `${prometheus}/api/v1/${path}?${new URLSearchParams(query)}`;
  const answer = (await (await fetch(url)).json()) as { status: string; error?: string; data: T };
  if (answer.status !== "success") throw new Error(`${url}: ${answer.error}`);
  return answer.data;
}

interface Alert {
  readonly state: "pending" | "firing";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Alerts of a name that fire, by the label that says where. */
async function firing(name: string): Promise<Alert[]> {
  const { alerts } = await ask<{ alerts: Alert[] }>("alerts");
  return alerts.filter(({ state, labels }) => state === "firing" && labels["alertname"] === name);
}

/** Waits until it is so; the test's own time is the limit. */
async function until<T>(what: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await what();
    if (found) return found;
    await sleep(1_000);
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

describe("the real Prometheus", () => {
  it("has every rule that the stack declares, and evaluates each", async () => {
    const { data } = await environment.core.readNamespacedConfigMap({
      namespace: environment.systemNamespace,
      name: ALERTS_CONFIG_MAP,
    });
    const declared = JSON.parse(data![ALERTS_FILE]!) as {
      groups: { name: string; rules: { alert: string; labels: { severity: string } }[] }[];
    };
    const shown = (groups: { rules: { name: string; labels: Record<string, string> }[] }[]) =>
      groups.flatMap(({ rules }) => rules.map(({ name, labels }) => `${name} ${labels["severity"]}`));
    const loaded = await ask<{
      groups: { rules: { name: string; labels: Record<string, string>; health: string }[] }[];
    }>("rules");
    expect(shown(loaded.groups).sort()).toEqual(
      declared.groups
        .flatMap(({ rules }) => rules.map((rule) => `${rule.alert} ${rule.labels.severity}`))
        .sort(),
    );
    const isEvaluated = async () => {
      const { groups } = await ask<typeof loaded>("rules");
      const health = new Set(groups.flatMap(({ rules }) => rules.map((rule) => rule.health)));
      return !health.has("unknown") && [...health];
    };
    expect(await until(isEvaluated)).toEqual(["ok"]);
  });

  it("answers every query of the dashboard, and has something to draw in each row", async () => {
    const { data } = await environment.core.readNamespacedConfigMap({
      namespace: environment.systemNamespace,
      name: DASHBOARD_CONFIG_MAP,
    });
    const { panels } = JSON.parse(Object.values(data!)[0]!) as Dashboard;
    const drawn: Record<string, number> = {};
    let row = "";
    for (const { type, title, targets } of panels) {
      if (type === "row") drawn[(row = title)] = 0;
      for (const { expr } of targets ?? []) {
        const query = expr.replaceAll("$__rate_interval", "1m").replaceAll("$tenant", ".*");
        const { result } = await ask<{ result: unknown[] }>("query", { query });
        drawn[row]! += result.length;
      }
    }
    // Workers are scraped while there are any, and here there may be none.
    const empty = Object.keys(drawn).filter((title) => drawn[title] === 0 && title !== "Workers");
    expect(empty).toEqual([]);
  });
});

describe("the runbooks' commands", () => {
  const commands = fenced(projectFile("docs/runbooks.md"), ["sh"])
    .map((block) => block.trim())
    .filter((line) => line.startsWith("kubectl "))
    .map((line) => line.replace("TENANT", "acme"));

  it.each([...new Set(commands)])("%s", async (line) => {
    const { kubernetes } = await buildPrograms(["kubernetes"]);
    const kubeconfig = `--kubeconfig=${join(environment.stateDirectory, "admin.kubeconfig")}`;
    const [kubectl, ...words] = line.split(" ");
    const { code, stderr } = await run(join(kubernetes!, "kubernetes"), [kubectl!, kubeconfig, ...words]);
    expect([code, stderr.replace(/^No resources found.*\n$/, "")]).toEqual([0, ""]);
  });
});

describe("a slot that fills", () => {
  const mountpoint = "/mnt/video-jobs/slot-1";
  const ofSlot = async (name: string) =>
    (await firing(name)).find(({ labels }) => labels["mountpoint"] === mountpoint);

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
    const predicted = await until(() => ofSlot("VideoStorageVolumeFillingUp"));
    expect(predicted.labels).toMatchObject({ severity: "critical", environment: "local", fstype: "ext4" });
    expect(predicted.annotations["summary"]).toMatch(
      /^\/mnt\/video-jobs\/slot-1 on [\d.]+:9100 will be out of space within 5m: \d{1,2}\.\d % is left$/,
    );
    const full = await until(() => ofSlot("VideoStorageVolumeNearlyFull"));
    expect(full.annotations["summary"]).toMatch(/ has \d\.\d % of its space left$/);
    expect(full.annotations["runbook_url"]).toBe("docs/runbooks.md#videostoragevolumenearlyfull");
    expect((await pods.said(pod))["code"]).toBe("ENOSPC");
    // The slots beside it are as they were.
    const others = (await firing("VideoStorageVolumeNearlyFull")).map(({ labels }) => labels["mountpoint"]);
    expect(others).toEqual([mountpoint]);

    await pods.close();
    await until(async () => !(await ofSlot("VideoStorageVolumeFillingUp")));
    await until(async () => !(await ofSlot("VideoStorageVolumeNearlyFull")));
    expect(await firing("VideoStorageVolumeNearlyFull")).toEqual([]);
  }, 1_200_000);
});

describe("sweeps that stop", () => {
  it("are told of for each of the volumes, once one must have ended, and no more when they come again", async () => {
    const volumes = environment.contract.slots.map(({ name }) => name).sort();
    const stale = await until(async () => {
      const found = await firing("VideoStorageSweepStale");
      return found.length === volumes.length && found;
    });
    expect(stale.map(({ labels }) => labels["volume"]).sort()).toEqual(volumes);
    for (const { labels, annotations } of stale) {
      expect(labels).toMatchObject({ severity: "critical", environment: "local" });
      expect(annotations["summary"]).toMatch(
        new RegExp(`^${labels["volume"]} was last swept (\\d+)m \\d+s ago$`),
      );
    }
    // A period, both deadlines, and the two minutes that it waits.
    expect(Date.now() - stopped).toBeGreaterThan((60 + 60 + 300) * 1_000);
    await suspend(false);
    await until(async () => (await firing("VideoStorageSweepStale")).length === 0);
    expect(await firing("VideoStorageSweepStale")).toEqual([]);
  }, 1_200_000);
});
