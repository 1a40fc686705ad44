import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";
import type { ObjectStorage } from "@video-storage/worker/object-storage";
import { openRoot } from "../../cleanup-job/src/deletion/handles.js";
import { copyJob } from "../../cleanup-job/src/tiering.js";
import { rounds } from "../support/rounds.js";

const ROUNDS = rounds("COPY_ATTACK_ROUNDS", 25_000);
const OWN = "own".repeat(1000);
const SECRET = "a stranger's secret".padEnd(OWN.length);

/** Exchanges the file for a link, for another name of somebody's file, and for the job's own again. */
const ATTACKER = `
  const fs = require("node:fs");
  const { file, secret, beside, own } = require("node:worker_threads").workerData;
  const place = (make) => { try { make(beside); fs.renameSync(beside, file); } catch { fs.rmSync(beside, { force: true }); } };
  const still = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    place((path) => fs.symlinkSync(secret, path));
    place((path) => fs.writeFileSync(path, own));
    place((path) => fs.linkSync(secret, path));
    place((path) => fs.writeFileSync(path, own));
    // Now and then it lies still, so that something is copied.
    if (Math.random() < 0.02) Atomics.wait(still, 0, 0, 60);
  }`;

it("a file that is exchanged while its job is copied never takes another's content along", async () => {
  const base = fs.mkdtempSync(`${tmpdir()}/copy-attack-`);
  const [job, file, secret] = [`${base}/job`, `${base}/job/source.mp4`, `${base}/secret`];
  fs.mkdirSync(`${job}/logs`, { recursive: true });
  fs.writeFileSync(secret, SECRET);
  fs.writeFileSync(file, OWN);
  fs.writeFileSync(`${job}/metadata.json`, "{}");
  const at = "2026-01-01T00:00:00.000Z";
  const sha256 = createHash("sha256").update(OWN).digest("hex");
  const record: JobRecord = {
    ...{ version: 1, tenantId: parseTenantId("acme"), jobId: newJobId(), state: "completed", revision: 2 },
    ...{ createdAt: at, stateChangedAt: at, attributes: {} },
    owner: { volume: "v", node: "n", namespace: "n", pod: "p" },
    files: { "source.mp4": { bytes: OWN.length, sha256 } },
  };
  const sent = new Set<string>();
  const store = {
    bucket: "videos",
    // What it is handed is what would leave: it believes everything.
    async putFile(
      objectKey: string,
      handle: fs.promises.FileHandle,
      expected: { bytes: number; sha256: string },
    ) {
      const content = Buffer.alloc(expected.bytes);
      await handle.read(content, 0, expected.bytes, 0);
      sent.add(content.toString());
      return { bucket: "videos", objectKey, ...expected };
    },
    async putBytes(objectKey: string, content: Buffer) {
      sent.add(content.toString());
      return { bucket: "videos", objectKey, bytes: content.length, sha256 };
    },
  } as unknown as ObjectStorage;
  const notes = { known: () => undefined, stored: async () => undefined, packed: async () => undefined };
  const directory = await openRoot(job);
  const workerData = { file, secret, beside: `${base}/beside`, own: OWN };
  const attacker = new Worker(ATTACKER, { eval: true, workerData });
  await new Promise((resolve) => attacker.once("online", resolve));
  const never = new AbortController().signal;
  let [copied, refused] = [0, 0];
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await copyJob(directory, record, store, never, round % 2 === 0 ? 0 : 131_072, notes).then(
        () => copied++,
        () => refused++,
      );
    }
  } finally {
    await attacker.terminate();
    await directory.close();
    fs.rmSync(base, { recursive: true });
  }
  console.log(`${copied} copied, ${refused} refused`);
  expect(copied).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
  expect([...sent].filter((content) => content.includes("stranger"))).toEqual([]);
});
