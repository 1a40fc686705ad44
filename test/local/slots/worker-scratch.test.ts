import { statfsSync } from "node:fs";

import { slotInodes } from "@video-storage/contract/slot-filesystem";
import { afterEach, beforeAll, describe, expect, it } from "vitest";

import { buildWorkerPod } from "../../../components/lib/worker-pod.js";
import { environmentWithoutJobs, nodeCommand } from "../../support/running-environment.js";
import type { RunningEnvironment, TestPods } from "../../support/running-environment.js";
import { slotsForThisFile } from "../../support/slots-for-this-file.js";

const ROUNDS = 8;
/** Short enough that what else the machine does falls on windows of both kinds. */
const WINDOW_MILLISECONDS = 1_000;
/** Of the rate with an idle neighbour. What it has with a full one differs from that by chance alone. */
const SAME_RATE = 0.7;

let environment: RunningEnvironment;
let pods: TestPods;

slotsForThisFile();
beforeAll(async () => {
  environment = await environmentWithoutJobs();
  pods = environment.pods();
});

afterEach(() => pods.close());

function worker(slotIndex: number, script: string) {
  const { contract, images } = environment;
  const slot = contract.slots[slotIndex]!;
  const body = buildWorkerPod({
    ...{ contract, image: images.demoWorker, slot: slot.name, tenant: contract.tenants[slotIndex % 2]!.id },
    command: nodeCommand(script),
  });
  return { slot, body };
}

/**
 * Again and again does nothing for a while, then fills its slot by `fill`, which returns an error's code once
 * nothing more can be had, and for as long tries to have more; then frees it. Says when it did which.
 */
const filler = (fill: string, free: string) => `
  import fs from "node:fs";
  const root = "/tmp/video-jobs";
  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const code = (work) => { try { work(); return "none"; } catch (error) { return error.code; } };
  ${fill}
  const idle = [], full = [], codes = new Set();
  let refused = 0, left;
  for (let round = 0; round < ${ROUNDS}; round++) {
    let from = Date.now();
    await pause(${WINDOW_MILLISECONDS});
    idle.push([from, Date.now()]);
    codes.add(fillUp());
    // What was written has reached the disk before the full slot is measured.
    const handle = fs.openSync(root, "r"); fs.fsyncSync(handle); fs.closeSync(handle);
    left = fs.statfsSync(root);
    from = Date.now();
    while (Date.now() < from + ${WINDOW_MILLISECONDS}) {
      codes.add(more());
      refused += 1;
      await pause(10);
    }
    full.push([from, Date.now()]);
    ${free}
  }
  console.log(JSON.stringify({ event: "result", idle, full, codes: [...codes], refused,
    left: { bytes: left.bavail * left.bsize, files: left.ffree }, filled }));
  await pause(600_000);`;

const BYTES = `
  const name = root + "/.filler"; let filled = 0;
  fs.rmSync(name, { recursive: true, force: true });
  const block = Buffer.alloc(1 << 20);
  const append = (file, bytes) => { filled += fs.writeSync(file, block, 0, bytes); };
  const fillUp = () => {
    const file = fs.openSync(name, "w"); filled = 0;
    const end = code(() => { for (;;) append(file, block.length); });
    for (let bytes = block.length; bytes >= 512; bytes /= 2) code(() => { for (;;) append(file, bytes); });
    fs.fsyncSync(file); fs.closeSync(file);
    return end;
  };
  const more = () => code(() => { const file = fs.openSync(name, "a"); try { append(file, block.length); } finally { fs.closeSync(file); } });`;

const INODES = `
  const directory = root + "/.filler"; let filled = 0;
  fs.rmSync(directory, { recursive: true, force: true });
  const make = () => { fs.closeSync(fs.openSync(directory + "/" + filled, "wx")); filled += 1; };
  const fillUp = () => { fs.mkdirSync(directory); filled = 0; return code(() => { for (;;) make(); }); };
  const more = () => code(make);`;

/** Makes, writes, syncs and removes files for as long as it is there, and says for each when it was done. */
const NEIGHBOUR = `
  import fs from "node:fs";
  const block = Buffer.alloc(64 << 10);
  let done = [];
  process.on("SIGTERM", () => {
    for (let i = 0; i < 4; i++) fs.rmSync("/tmp/video-jobs/.neighbour-" + i, { force: true });
    process.exit();
  });
  setInterval(() => { console.log(JSON.stringify({ event: "done", done })); done = []; }, 500);
  for (let i = 0; ; i++) {
    const name = "/tmp/video-jobs/.neighbour-" + (i % 4);
    fs.writeFileSync(name, block, { flush: true });
    fs.unlinkSync(name);
    done.push(Date.now());
    await new Promise((resolve) => setTimeout(resolve, 2));
  }`;

type Window = readonly [from: number, to: number];

/** Fills slot 2 by turns beside a neighbour on slot 0, and says how the neighbour's rate fared. */
async function fillBeside(name: string, fill: string, free: string) {
  const { core, contract } = environment;
  const neighbour = await pods.create(`${name}-neighbour`, worker(0, NEIGHBOUR).body);
  await pods.said(neighbour, "done");
  const { body, slot } = worker(2, filler(fill, free));
  const said = await pods.result(`${name}-filler`, body);
  const log = await core.readNamespacedPodLog({ name: neighbour, namespace: contract.namespace });
  const done = log
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .flatMap((line) => (JSON.parse(line) as { done: number[] }).done);
  const rate = ([from, to]: Window) =>
    (done.filter((time) => time >= from && time < to).length / (to - from)) * 1000;
  const idle = (said["idle"] as Window[]).map(rate);
  const full = (said["full"] as Window[]).map(rate);
  const ratios = idle.map((value, round) => full[round]! / value);
  const shown = (values: number[]) => values.map((value) => value.toFixed(0)).join(" ");
  console.log(
    `${name}: neighbour's files a second beside an idle slot ${shown(idle)}; beside a full one ${shown(full)}; ` +
      `median of the ratios ${median(ratios).toFixed(2)}`,
  );
  return { said, slot, idle, full, ratio: median(ratios) };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

describe("a worker that fills its slot", () => {
  it("gets ENOSPC at the slot's bytes, while its neighbour writes on at the same rate", async () => {
    const { said, slot, idle, ratio } = await fillBeside("bytes", BYTES, "fs.unlinkSync(name);");
    expect(said["codes"]).toEqual(["ENOSPC"]);
    expect(said["refused"]).toBeGreaterThan(ROUNDS);
    const { bytes, files } = said["left"] as { bytes: number; files: number };
    expect(bytes).toBeLessThan(4096);
    expect(files).toBeGreaterThan(0);
    // Less than the slot by what the filesystem keeps for itself, and never more.
    expect(said["filled"]).toBeLessThan(slot.capacityBytes);
    expect(said["filled"]).toBeGreaterThan(slot.capacityBytes * 0.8);
    expect(Math.min(...idle)).toBeGreaterThan(0);
    expect(ratio).toBeGreaterThan(SAME_RATE);
  });

  it("gets ENOSPC at the slot's inodes with bytes to spare, while its neighbour makes files on", async () => {
    const free = "fs.rmSync(directory, { recursive: true });";
    const { said, slot, idle, ratio } = await fillBeside("inodes", INODES, free);
    expect(said["codes"]).toEqual(["ENOSPC"]);
    const { bytes, files } = said["left"] as { bytes: number; files: number };
    expect(files).toBe(0);
    expect(bytes).toBeGreaterThan(slot.capacityBytes / 2);
    expect(said["filled"]).toBeLessThan(slotInodes(slot.capacityBytes));
    expect(said["filled"]).toBeGreaterThan(slotInodes(slot.capacityBytes) * 0.9);
    expect(Math.min(...idle)).toBeGreaterThan(0);
    expect(ratio).toBeGreaterThan(SAME_RATE);
  });
});

describe("every slot", () => {
  it("is a filesystem of its own, of the size and the number of files that it was declared with", () => {
    const { contract, node } = environment;
    const found = contract.slots.map((_, index) => {
      const { type, files, blocks, bsize } = statfsSync(node.path(`/mnt/video-jobs/slot-${index}`));
      return { type, files, size: blocks * bsize };
    });
    const EXT4 = 0xef53;
    for (const [index, { type, files, size }] of found.entries()) {
      const { capacityBytes } = contract.slots[index]!;
      expect([type, files]).toEqual([EXT4, slotInodes(capacityBytes)]);
      expect(size).toBeLessThanOrEqual(capacityBytes);
    }
  });
});

describe("the scheduler", () => {
  it("lets no second worker run on a slot, and the next once the first has ended", async () => {
    const say = `console.log(JSON.stringify({ event: "result", at: Date.now() }));`;
    const stay = `${say} await new Promise((resolve) => setTimeout(resolve, 600_000));`;
    const first = await pods.create("first", worker(1, stay).body);
    await pods.said(first);
    const second = await pods.create("second", worker(1, say).body);
    await expect(pods.said(second, "result", 8)).rejects.toThrow(/still Pending.*anti-affinity/s);
    const { core, contract } = environment;
    const ended = Date.now();
    await core.deleteNamespacedPod({ name: first, namespace: contract.namespace, gracePeriodSeconds: 1 });
    expect((await pods.said(second))["at"]).toBeGreaterThan(ended);
  });
});
