import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  CAPABILITIES_KEY,
  OBJECT_STORAGE_CAPABILITIES,
} from "@video-storage/contract/object-storage-capabilities";
import { METRICS } from "@video-storage/contract/metrics";
import { groupAddress, pushSweep } from "../../cleanup-job/src/pushgateway.js";
import { problemsOfMetrics } from "../support/check-metrics.js";
import { startPushgateway } from "../support/pushgateway.js";
import type { Pushgateway } from "../support/pushgateway.js";
import { bySeries } from "../support/scraped.js";
import { giveTo } from "../support/ownership.js";
import { startWorld } from "./world.js";
import type { Volume, World } from "./world.js";

/** What the shipped program leaves at Debian's Pushgateway. */

const ENVIRONMENT = "test";
const NOW = (): number => Date.now() / 1000;

let world: World;
let volume: Volume;
let gateway: Pushgateway;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world?.stop());
beforeEach(async () => {
  volume = await world.newVolume();
  volume.environment = { NODE_NAME: "node-7" };
  gateway = await startPushgateway();
  volume.configure({ metrics: { pushgateway: gateway.url, environment: ENVIRONMENT } });
  return async () => {
    await gateway.stop();
    await volume.catalogue.close();
  };
});

const PREFIX = "video_storage_";
/** Of one metric, by its labels besides those that every series of the volume has. */
async function values(metric: { name: string }): Promise<Record<string, number>> {
  const common = {
    environment: ENVIRONMENT,
    job: "video-storage-cleanup",
    volume: "node-0-slot-0",
    node: "node-7",
  };
  const found = (await gateway.series()).filter(({ name }) => name === metric.name);
  for (const { labels } of found) expect(labels).toMatchObject(common);
  return Object.fromEntries(
    found.map(({ labels, value }) => {
      const own = Object.entries(labels).filter(([label]) => !(label in common));
      return [own.map(([label, text]) => `${label}=${text}`).join(), value];
    }),
  );
}
async function value(metric: { name: string }): Promise<number | undefined> {
  return (await values(metric))[""];
}
const warnings = (events: readonly Record<string, unknown>[]) =>
  events.filter(({ code }) => code === "metrics-not-pushed");

describe("a sweep that did what was due", () => {
  it("leaves every metric of the registry that is a sweep's, and no other of ours", async () => {
    await volume.addJob({ state: "uploaded", age: 1000 });
    await volume.addJob({ state: "completed", age: 10 });
    const report = capabilityReport();
    const before = NOW();
    const { code, events } = await volume.run("sweep", "--capabilities", report);
    expect({ code, warnings: warnings(events) }).toEqual({ code: 0, warnings: [] });
    const names = new Set((await gateway.series()).map(({ name }) => name));
    const expected = Object.values(METRICS).filter(({ source }) => source === "sweep");
    expect([...names].sort()).toEqual(expected.map(({ name }) => name).sort());
    for (const { name, labels } of expected) {
      const one = (await gateway.series()).find((series) => series.name === name)!;
      expect(Object.keys(one.labels).sort()).toEqual(["environment", "job", ...labels].sort());
    }
    expect(await problemsOfMetrics(await ours())).toBe("");

    expect(await values(METRICS.sweepJobs)).toEqual({
      ...{ "action=deleted": 1, "action=kept": 1, "action=tiered": 0, "action=evicted": 0 },
      ...{ "action=abandoned": 0, "action=reported": 0, "action=failed": 0 },
    });
    expect(await value(METRICS.sweepFailed)).toBe(0);
    expect(await value(METRICS.objectStorageAway)).toBe(0);
    expect(await value(METRICS.trashEntries)).toBe(0);
    expect(await value(METRICS.sweepFreedBytes)).toBeGreaterThanOrEqual(4096);
    const success = (await value(METRICS.sweepLastSuccess))!;
    expect(success).toBeGreaterThanOrEqual(before);
    expect(success).toBeLessThanOrEqual(NOW());
    expect(await value(METRICS.sweepLastCompletion)).toBe(success);
    const [used, capacity] = [
      (await value(METRICS.volumeUsedBytes))!,
      (await value(METRICS.volumeCapacityBytes))!,
    ];
    expect(used).toBeGreaterThan(0);
    expect(capacity).toBeGreaterThan(used);
    expect(await values(METRICS.volumeTenantJobs)).toEqual({ "tenant=acme": 1 });
    expect(await value(METRICS.volumeLastAccess)).toBe((await values(METRICS.lastAccess))["tenant=acme"]);
    const bucket = (await gateway.series()).filter(({ name }) => name === METRICS.capability.name);
    expect(bySeries(bucket)).toMatchObject({
      [`${PREFIX}object_storage_capability{bucket=videos,capability=tags,environment=test,job=video-storage-cleanup}`]: 0,
      [`${PREFIX}object_storage_capability{bucket=videos,capability=versioning,environment=test,job=video-storage-cleanup}`]: 1,
    });
  });

  it("replaces what was pushed of tenants that have nothing there any more", async () => {
    await volume.addJob({ state: "completed", tenant: "globex", age: 10 });
    await volume.run("sweep");
    expect(await values(METRICS.volumeTenantJobs)).toEqual({ "tenant=globex": 1 });
    await volume.catalogue.admin(`UPDATE storage.jobs SET state_changed_at = now() - interval '1 day'`);
    await volume.run("sweep");
    expect(await values(METRICS.volumeTenantJobs)).toEqual({});
    expect(await values(METRICS.sweepJobs)).toMatchObject({ "action=tiered": 1 });
  });

  it("pushes nothing when it only says what it would do, or has no settings", async () => {
    await volume.run("sweep", "--dry-run");
    expect(await gateway.series()).toEqual([]);
    volume.configure({});
    expect((await volume.run("sweep")).code).toBe(0);
    expect(await gateway.series()).toEqual([]);
  });

  it("says the same of a volume on another node in the place of what was said before", async () => {
    await volume.run("sweep");
    volume.environment = { NODE_NAME: "node-8" };
    await volume.run("sweep");
    expect((await gateway.series()).map(({ labels }) => labels["node"])).not.toContain("node-7");
  });
});

describe("a sweep that failed", () => {
  it("says so, and leaves when the last one succeeded as it was", async () => {
    await volume.run("sweep");
    const success = await value(METRICS.sweepLastSuccess);
    await volume.addJob({ state: "completed", age: 1000 });
    volume.configure({
      metrics: { pushgateway: gateway.url, environment: ENVIRONMENT },
      objectStorage: {
        ...{ endpoint: "http://127.0.0.1:1", region: "local", bucket: "videos", forcePathStyle: true },
        ...{ credentials: "secret", caFile: null },
      },
    });
    expect((await volume.run("sweep")).code).toBe(1);
    expect(await value(METRICS.sweepFailed)).toBe(1);
    expect(await value(METRICS.objectStorageAway)).toBe(1);
    expect(await values(METRICS.sweepJobs)).toMatchObject({ "action=failed": 1, "action=tiered": 0 });
    expect(await value(METRICS.sweepLastSuccess)).toBe(success);
    expect(await value(METRICS.sweepLastCompletion)).toBeGreaterThan(success!);
  });

  it("tells of the volume when the catalogue is away, and leaves what only that knows", async () => {
    await volume.addJob({ state: "completed", age: 10 });
    await volume.run("sweep");
    const success = await value(METRICS.sweepLastSuccess);
    await world.postgres.interrupt();
    const { code, events } = await volume.run("sweep").finally(() => world.postgres.resume());
    expect({ code, warnings: warnings(events) }).toEqual({ code: 3, warnings: [] });
    expect(await value(METRICS.sweepFailed)).toBe(1);
    expect(await value(METRICS.sweepLastSuccess)).toBe(success);
    expect(await value(METRICS.volumeUsedBytes)).toBeGreaterThan(0);
    expect(await values(METRICS.volumeTenantJobs)).toEqual({ "tenant=acme": 1 });
  });

  it("counts what lies in the trash", async () => {
    const trash = `${volume.root}/.trash`;
    for (const name of ["not-ours", "nor-this"])
      fs.mkdirSync(`${trash}/${name}`, { recursive: true, mode: 0o700 });
    giveTo(fs.statSync(volume.root), trash);
    await volume.run("sweep");
    expect(await value(METRICS.trashEntries)).toBe(2);
  });

  it("pushes nothing when another sweep of the volume is running", async () => {
    fs.mkdirSync(`${volume.root}/.trash`, { mode: 0o700 });
    giveTo(fs.statSync(volume.root), `${volume.root}/.trash`);
    // flock(1) holds the lock for as long as its command runs.
    const holder = spawn("flock", ["-x", `${volume.root}/.trash`, "sh", "-c", "echo held; sleep 60"]);
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    const { events } = await volume.run("sweep").finally(() => holder.kill());
    expect(events).toContainEqual(expect.objectContaining({ event: "skipped" }));
    expect(await gateway.series()).toEqual([]);
  });
});

describe("a Pushgateway that doesn't take it", () => {
  const servers: { close(): void }[] = [];
  afterEach(() => servers.splice(0).forEach((server) => server.close()));

  /** A gateway of the test's own, as no real one misbehaves on demand. */
  async function misbehaving(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push({ close: () => (server.closeAllConnections(), server.close()) });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function silent(): Promise<string> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push(server);
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const cases: [string, () => Promise<string>, RegExp][] = [
    ["is away", async () => "http://127.0.0.1:1", /127\.0\.0\.1:1 can't be reached \(.*ECONNREFUSED/],
    ["accepts and is silent", silent, /no answer within 5 s/],
    [
      "answers 500",
      () => misbehaving((_, r) => r.writeHead(500).end("out of luck\n")),
      /answered 500: out of luck/,
    ],
    [
      "stops in the middle of its answer",
      () => misbehaving((_, r) => void r.writeHead(200).write("x")),
      /within 5 s/,
    ],
    [
      "sends elsewhere",
      () => misbehaving((_, r) => r.writeHead(302, { Location: "/" }).end()),
      /answered 302/,
    ],
  ];

  it.each(cases)("that %s fails no sweep: it is one warning", async (_what, start, reason) => {
    volume.configure({ metrics: { pushgateway: await start(), environment: ENVIRONMENT } });
    const job = await volume.addJob({ state: "uploaded", age: 1000 });
    const { code, events } = await volume.run("sweep", "--capabilities", capabilityReport());
    expect(code).toBe(0);
    expect(volume.jobs()).not.toContain(job);
    expect(warnings(events)).toEqual([
      expect.objectContaining({
        event: "attention",
        level: "warning",
        reason: expect.stringMatching(reason) as string,
      }),
    ]);
  });
});

describe("the group's address", () => {
  it.each([
    [
      "http://gateway:9091",
      { environment: "e", volume: "v" },
      "http://gateway:9091/metrics/job/video-storage-cleanup/environment/e/volume/v",
    ],
    [
      "https://gateway/prefix/",
      { volume: "a b%" },
      "https://gateway/prefix/metrics/job/video-storage-cleanup/volume/a%20b%25",
    ],
    [
      "http://gateway",
      { volume: "a/b" },
      "http://gateway/metrics/job/video-storage-cleanup/volume@base64/YS9i",
    ],
  ])("of %s and %o is %s", (base, labels, expected) => {
    expect(groupAddress(base, labels).href).toBe(expected);
  });

  it("leads a volume of any name to its own group", async () => {
    const samples = [{ metric: METRICS.slots, labels: {}, value: 3 }];
    const settings = { pushgateway: gateway.url, environment: "a/b ü%" };
    await pushSweep(settings, "c/../d", { succeeded: true, samples, bucket: undefined });
    expect(await gateway.series()).toEqual([
      {
        name: METRICS.slots.name,
        labels: { environment: "a/b ü%", job: "video-storage-cleanup", volume: "c/../d" },
        value: 3,
      },
    ]);
  });
});

async function ours(): Promise<string> {
  const lines = (await gateway.text()).split("\n").filter((line) => line.includes(PREFIX));
  return `${lines.join("\n")}\n`;
}

/** As the probe leaves it: everything is held but tags. */
function capabilityReport(): string {
  const file = `${volume.root}/../${CAPABILITIES_KEY}`;
  const finding = (held: boolean) => ({ held, required: true, detail: "" });
  const rules = ["abort-unfinished-uploads", "expire-noncurrent-versions", "remove-expired-delete-markers"];
  const more = ["expire-released-objects", "expire-probe-objects", "transition-cold-objects"];
  fs.writeFileSync(
    file,
    JSON.stringify({
      ...{ version: 1, probedAt: "2026-01-01T00:00:00Z", endpoint: null, bucket: "videos" },
      capabilities: Object.fromEntries(
        OBJECT_STORAGE_CAPABILITIES.map((one) => [one, finding(one !== "tags")]),
      ),
      lifecycle: Object.fromEntries(
        [...rules, ...more].map((rule) => [rule, { outcome: "kept", detail: "" }]),
      ),
    }),
  );
  return file;
}
