import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JobId } from "@video-storage/contract/identity";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import { serializeJobRecord } from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import { lockShared } from "@video-storage/worker/directory-lock";
import { giveTo } from "../support/ownership.js";
import { THOROUGH } from "../support/rounds.js";
import { RETENTION, startWorld } from "./world.js";
import type { Volume, World } from "./world.js";

/** What code of a tenant can do that runs as the volume's own user, which is the sweep's user too. */

let world: World;
let volume: Volume;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());
beforeEach(async () => {
  world.objects.fault = "none";
  world.objects.objects.clear();
  volume = await world.newVolume();
  return () => volume.catalogue.close();
});

function owned(path: string): void {
  giveTo(fs.statSync(volume.root), path);
}

/** A directory as the attacker makes it: a source, and a record that says what it likes. */
function forge(jobId: JobId, change: Partial<JobRecord>): void {
  const directory = `${volume.root}/${jobId}`;
  fs.mkdirSync(directory, { recursive: true });
  fs.writeFileSync(`${directory}/source.mp4`, "not yours");
  const at = "2026-01-01T00:00:00.000Z";
  const owner = { volume: volume.name, node: "node-0", namespace: "workers", pod: "attacker" };
  fs.writeFileSync(
    `${directory}/metadata.json`,
    serializeJobRecord({
      ...{ version: 1, tenantId: parseTenantId("globex"), jobId, state: "completed", revision: 2 },
      ...{ createdAt: at, stateChangedAt: at, owner, files: {}, attributes: {}, ...change },
    }),
  );
  owned(directory);
}

async function row(jobId: JobId): Promise<Record<string, unknown> | undefined> {
  const [found] = await volume.catalogue.admin(
    `SELECT tenant_id AS tenant, state, revision, volume, location, deleted_at IS NOT NULL AS deleted
     FROM storage.jobs WHERE job_id = $1`,
    [jobId],
  );
  return found;
}

async function elsewhere(state: "active" | "completed", tenant = "globex"): Promise<JobId> {
  const jobId = await volume.addJob({ state, tenant, only: "row" });
  await volume.catalogue.admin(`UPDATE storage.jobs SET volume = 'node-1-slot-0' WHERE job_id = $1`, [jobId]);
  return jobId;
}

describe("a forged record", () => {
  it("brings no job into another tenant's name", async () => {
    const jobId = newJobId();
    forge(jobId, { proof: "0".repeat(64) });
    volume.configure({ retention: { ...RETENTION, completedSeconds: 0 } });
    for (let sweep = 0; sweep < 2; sweep++) {
      const { events } = await volume.run("sweep");
      expect(events.at(-1)).toMatchObject({ tiered: 0, deleted: 0, keptBecause: { "not-in-catalogue": 1 } });
    }
    expect(await row(jobId)).toBeUndefined();
    expect(world.objects.objects.size).toBe(0);
    expect(volume.jobs()).toEqual([jobId]);
  });

  it("doesn't take the proof of another job, volume or tenant", async () => {
    const real = await volume.addJob({ state: "completed", tenant: "globex" });
    const { proof } = JSON.parse(
      fs.readFileSync(`${volume.root}/${real}/metadata.json`, "utf8"),
    ) as JobRecord;
    expect(proof).toMatch(/^[0-9a-f]{64}$/);
    const jobId = newJobId();
    forge(jobId, { proof: proof! });
    await volume.run("sweep");
    expect(await row(jobId)).toBeUndefined();
  });

  it.each(["active", "completed"] as const)("changes no %s job that is on another volume", async (state) => {
    const jobId = await elsewhere(state);
    const before = await row(jobId);
    forge(jobId, { state: "failed", revision: 99 });
    const { events } = await volume.run("sweep");
    expect(events.at(-1)).toMatchObject({ keptBecause: { "other-volume": 1 } });
    expect(await row(jobId)).toEqual(before);
  });

  it("doesn't make a completed job an uploaded one, which would be deleted", async () => {
    const jobId = await volume.addJob({ state: "completed" });
    forge(jobId, { tenantId: parseTenantId("acme"), state: "uploaded", revision: 9 });
    volume.configure({ retention: { ...RETENTION, uploadedSeconds: 0 } });
    for (let sweep = 0; sweep < 2; sweep++) await volume.run("sweep");
    expect(await row(jobId)).toMatchObject({ state: "completed", deleted: false });
    expect(volume.jobs()).toEqual([jobId]);
  });
});

describe("the trash", () => {
  beforeEach(async () => {
    fs.mkdirSync(`${volume.root}/.trash`, { mode: 0o700 });
    owned(`${volume.root}/.trash`);
    volume.configure({ retention: { ...RETENTION, trashSeconds: 0 } });
  });

  function plant(jobId: JobId): void {
    fs.mkdirSync(`${volume.root}/.trash/${jobId}`);
    fs.writeFileSync(`${volume.root}/.trash/${jobId}/decoy`, "decoy");
    owned(`${volume.root}/.trash`);
  }

  it("with the name of a job on another volume has that one not recorded as deleted", async () => {
    const jobId = await elsewhere("active");
    const before = await row(jobId);
    plant(jobId);
    await volume.run("sweep");
    expect(await row(jobId)).toEqual(before);
    expect(await volume.audit()).toEqual([]);
    expect(volume.trash()).toEqual([jobId]);
  });

  it.each(["active", "completed"] as const)("keeps a %s job that somebody moved there", async (state) => {
    const jobId = await volume.addJob({ state });
    fs.renameSync(`${volume.root}/${jobId}`, `${volume.root}/.trash/${jobId}`);
    const { events } = await volume.run("sweep");
    expect(events.find(({ job }) => job === jobId)).toMatchObject({
      event: "kept",
      code: "trash-unfinished",
    });
    expect(volume.trash()).toEqual([jobId]);
    expect(await volume.audit()).toEqual([]);
    expect(await row(jobId)).toMatchObject({ state, deleted: false });
  });

  it("leaves what somebody holds the lock on", async () => {
    const jobId = await volume.addJob({ state: "failed", age: 1000 });
    fs.renameSync(`${volume.root}/${jobId}`, `${volume.root}/.trash/${jobId}`);
    const fd = fs.openSync(`${volume.root}/.trash/${jobId}`, "r");
    lockShared(fd);
    await volume.run("sweep");
    expect(volume.trash()).toEqual([jobId]);
    fs.closeSync(fd);
    await volume.run("sweep");
    expect(volume.trash()).toEqual([]);
    expect(await volume.audit()).toHaveLength(2);
  });

  it("with a decoy of a job that is due doesn't count as the job's deletion", async () => {
    const jobId = await volume.addJob({ state: "uploaded", age: 1000 });
    plant(jobId);
    // The first can't move the job; the second finds an intent, the decoy and the job.
    for (let sweep = 0; sweep < 3 && volume.jobs().length > 0; sweep++) {
      await volume.run("sweep");
      if (volume.jobs().length > 0) expect(await row(jobId)).toMatchObject({ deleted: false });
    }
    expect(volume.jobs()).toEqual([]);
    expect(volume.trash()).toEqual([]);
    expect((await volume.audit()).map(({ phase, files }) => `${phase} ${files}`)).toEqual([
      "intent null",
      "outcome 3",
    ]);
  });

  it.each(["file", "link"])("that was exchanged for a %s doesn't end the cleaning for ever", async (what) => {
    const due = await volume.addJob({ state: "uploaded", age: 1000 });
    const live = await volume.addJob({ state: "active" });
    fs.rmdirSync(`${volume.root}/.trash`);
    if (what === "link") fs.symlinkSync(live, `${volume.root}/.trash`);
    else fs.writeFileSync(`${volume.root}/.trash`, "");
    owned(`${volume.root}/.trash`);
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(0);
    expect(events.find(({ event }) => event === "deleted")).toMatchObject({ job: due });
    expect(volume.jobs()).toEqual([live]);
    expect(fs.readdirSync(`${volume.root}/${live}`).sort()).toEqual(["logs", "metadata.json", "source.mp4"]);
  });
});

describe("rows and locks of one tenant", () => {
  it("don't keep the sweep from the others' jobs", async () => {
    const mine = await volume.addJob({ state: "active", heartbeatAge: 1e6, tenant: "globex" });
    const others = await volume.addJob({ state: "uploaded", age: 1000 });
    await volume.catalogue.admin(
      `UPDATE storage.jobs SET last_access_at = now() - interval '1 h' WHERE job_id = $1`,
      [mine],
    );
    let locked = () => {};
    let release = () => {};
    const isLocked = new Promise<void>((resolve) => (locked = resolve));
    const held = volume.catalogue.as("worker_globex").transaction(async (connection) => {
      await connection.query(`SELECT FROM storage.jobs WHERE job_id = $1 FOR UPDATE`, [mine]);
      locked();
      await new Promise<void>((resolve) => (release = resolve));
    });
    await isLocked;
    const { code } = await volume.run("sweep");
    release();
    await held;
    expect(code).toBe(1);
    expect(await row(others)).toMatchObject({ deleted: true });
    expect(volume.jobs()).toEqual([mine]);
  });
});

describe("a job that is here though its copy is in object storage", () => {
  it("is reported, not deleted: what it holds now was never copied", async () => {
    const jobId = await volume.addJob({ state: "completed", age: 1000 });
    await volume.run("sweep");
    expect(await row(jobId)).toMatchObject({ location: "object" });
    forge(jobId, { tenantId: parseTenantId("acme"), revision: 2 });
    const { events } = await volume.run("sweep");
    expect(events.at(-1)).toMatchObject({ tiered: 0, keptBecause: { "moved-but-present": 1 } });
    expect(fs.readFileSync(`${volume.root}/${jobId}/source.mp4`, "utf8")).toBe("not yours");
    expect(await volume.audit()).toHaveLength(2);
  });

  it("isn't tiered when a recorded file is missing", async () => {
    const jobId = await volume.addJob({ state: "completed", age: 1000 });
    fs.unlinkSync(`${volume.root}/${jobId}/source.mp4`);
    expect((await volume.run("sweep")).code).toBe(1);
    expect(await row(jobId)).toMatchObject({ location: "local" });
    expect(volume.jobs()).toEqual([jobId]);
  });

  // A hundred thousand files take some seconds to make.
  it.runIf(THOROUGH)(
    "isn't tiered when it has more files than memory is for, and the sweep goes on",
    async () => {
      const jobId = await volume.addJob({ state: "completed", age: 1000 });
      const due = await volume.addJob({ state: "uploaded", age: 1000 });
      for (let n = 0; n <= 100_000; n++) fs.writeFileSync(`${volume.root}/${jobId}/logs/${n}.log`, "");
      const { code, events, errors } = await volume.run("sweep");
      expect(code).toBe(1);
      expect([...events, ...errors]).toContainEqual(
        expect.objectContaining({
          ...{ event: "failed", job: jobId },
          reason: "more than 100000 files are in one directory of it, and so many are copied by nobody",
        }),
      );
      expect(await row(jobId)).toMatchObject({ location: "local" });
      expect(await row(due)).toMatchObject({ deleted: true });
    },
  );
});

/** The intent of a sweep that was killed before it moved the job. */
const begunEarlier = (action: "delete" | "tier", jobId: JobId) =>
  volume.catalogue.admin(
    `INSERT INTO storage.audit (volume, tenant_id, job_id, phase, action, reason, actor)
     VALUES ($1, 'acme', $2, 'intent', $3, 'killed before it was moved', 'earlier')`,
    [volume.name, jobId, action],
  );

describe("a job whose copy was recorded as meant, and that was uploaded before the next sweep", () => {
  it("has one deletion in the audit, and no tiering that never was", async () => {
    const jobId = await volume.addJob({ state: "uploaded", age: 1000 });
    await begunEarlier("tier", jobId);
    for (let sweep = 0; sweep < 2; sweep++) expect((await volume.run("sweep")).code).toBe(0);
    expect((await volume.audit()).map(({ action, phase }) => `${action} ${phase}`)).toEqual([
      "tier intent",
      "delete intent",
      "delete outcome",
    ]);
    expect(await row(jobId)).toMatchObject({ location: "none", deleted: true });
  });

  it("is no deleted one when it was moved to object storage after a deletion that was begun and given up", async () => {
    const jobId = await volume.addJob({ state: "completed", age: 1000 });
    await begunEarlier("delete", jobId);
    for (let sweep = 0; sweep < 2; sweep++) expect((await volume.run("sweep")).code).toBe(0);
    expect((await volume.audit()).map(({ action, phase }) => `${action} ${phase}`)).toEqual([
      "delete intent",
      "tier intent",
      "tier outcome",
    ]);
    expect(await row(jobId)).toMatchObject({ location: "object", deleted: false });
  });

  it("is left alone, and reported, when the audit says that it was deleted before", async () => {
    const jobId = await volume.addJob({ state: "uploaded", age: 1000 });
    await volume.catalogue.admin(
      `INSERT INTO storage.audit (volume, tenant_id, job_id, phase, action, reason, actor)
       SELECT 'node-9-slot-9', 'acme', $1, phase, 'delete', 'of another volume', 'earlier'
       FROM unnest(ARRAY['intent', 'outcome']) WITH ORDINALITY AS p (phase, n) ORDER BY n`,
      [jobId],
    );
    const { events, errors } = await volume.run("sweep");
    expect([...events, ...errors]).toContainEqual(
      expect.objectContaining({ event: "kept", job: jobId, code: "deleted-but-present" }),
    );
    expect(volume.jobs()).toEqual([jobId]);
    expect(await volume.audit()).toHaveLength(2);
  });

  it("says when nothing of it was found any more: this sweep deleted nothing", async () => {
    const jobId = await volume.addJob({ state: "uploaded", age: 1000, only: "row" });
    await begunEarlier("delete", jobId);
    expect((await volume.run("sweep")).code).toBe(0);
    const details = await volume.catalogue.admin(
      `SELECT details->>'found' AS found, files::int FROM storage.audit WHERE phase = 'outcome'`,
    );
    expect(details).toEqual([{ found: "false", files: 0 }]);
  });
});

describe("a job that its worker has staged", () => {
  it("is tiered: its objects are those copies, its record there is the one before", async () => {
    // Larger than one part, so that the store's checksum is of the parts'.
    const source = "v".repeat(17 * 1024 * 1024);
    const jobId = await volume.addJob({ state: "completed", age: 1000, files: { "source.mp4": source } });
    const file = `${volume.root}/${jobId}/metadata.json`;
    const prefix = `tenants/acme/jobs/${jobId}/`;
    const before = fs.readFileSync(file);
    world.objects.stage(`/videos/${prefix}source.mp4`, Buffer.from(source));
    world.objects.stage(`/videos/${prefix}metadata.json`, before);
    const record = JSON.parse(before.toString()) as JobRecord;
    const staged = { bucket: "videos", prefix, at: "2026-01-01T00:00:00.000Z" };
    fs.writeFileSync(file, serializeJobRecord({ ...record, revision: 3, staged }));
    const { code, events } = await volume.run("sweep");
    expect(events.filter(({ event }) => event === "failed")).toEqual([]);
    expect(code).toBe(0);
    expect(await row(jobId)).toMatchObject({ location: "object" });
    expect(volume.jobs()).toEqual([]);
    expect(
      createHash("sha256")
        .update(world.objects.objects.get(`/videos/${prefix}source.mp4`)!)
        .digest("hex"),
    ).toBe(createHash("sha256").update(source).digest("hex"));
    expect(world.objects.objects.get(`/videos/${prefix}metadata.json`)).toEqual(before);
  });
});
