import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import { newJobId } from "@video-storage/contract/identity";
import { AuditVerifier } from "@video-storage/monitor/status/audit";
import type { Status, Verification } from "@video-storage/monitor/status/model";
import { StatusReader } from "@video-storage/monitor/status/reader";
import { HEARTBEAT_TIMEOUT, startWorld } from "../../cleanup-job/world.js";
import type { Volume, World } from "../../cleanup-job/world.js";
import { stackContract } from "../../support/documents.js";

/** What is shown beside what a real sweep, of the shipped program, then does. */

let world: World;
const mounted: string[] = [];
const looked = new Set<Volume>();
beforeAll(async () => {
  world = await startWorld();
});
// A login's limit of connections is the server's, for all of its catalogues.
afterEach(async () => {
  for (const { catalogue } of looked) await catalogue.close();
  looked.clear();
});
afterAll(async () => {
  for (const root of mounted) execFileSync("umount", [root]);
  await world?.stop();
});

interface Looking {
  readonly reader: StatusReader;
  readonly verifier: AuditVerifier;
  status(): Promise<Status>;
}

/** Looks with the auditor's login, which here can't even begin a transaction that writes. */
async function lookAt(volume: Volume, change: Record<string, unknown> = {}): Promise<Looking> {
  looked.add(volume);
  volume.configure(change);
  const cleanup = parseCleanupConfig(JSON.parse(fs.readFileSync(`${volume.root}/../cleanup.json`, "utf8")));
  await volume.catalogue.admin(
    `ALTER ROLE auditor IN DATABASE ${volume.catalogue.database} SET default_transaction_read_only = on`,
  );
  const catalogue = volume.catalogue.as("auditor");
  const verifier = new AuditVerifier(catalogue);
  const [slot] = stackContract().slots;
  const contract = stackContract({ slots: [{ ...slot!, name: volume.name }] });
  const reader = new StatusReader({ catalogue, contract, cleanup, prometheus: undefined, verifier });
  const volumes = { search: "", sort: "fullness", page: 1, pageSize: 25 } as const;
  return { reader, verifier, status: () => reader.status({ volumes, patienceMilliseconds: Infinity }) };
}

/** The reader keeps an answer for two seconds. */
async function until(look: Looking, enough: (status: Status) => boolean): Promise<Status> {
  for (let tries = 0; tries < 100; tries++) {
    const status = await look.status();
    if (enough(status)) return status;
    await sleep(100);
  }
  throw new Error("the status never came to be so");
}

/** On a machine that has much to do a connection may take longer than is waited for. */
async function verified({ verifier }: Looking): Promise<Verification> {
  for (let tries = 0; tries < 20; tries++) {
    const verification = await verifier.verify();
    if (verification.failure === null) return verification;
    await sleep(500);
  }
  throw new Error(`the audit could not be verified: ${verifier.verification.failure}`);
}

describe("before and after a sweep", () => {
  it("foretells what the sweep then does, says what it did, and proves what it recorded", async () => {
    const volume = await world.newVolume();
    const uploaded = await volume.addJob({ state: "uploaded", age: 150 });
    const failed = await volume.addJob({ state: "failed", age: 310, tenant: "globex" });
    const completed = await volume.addJob({ state: "completed", age: 210 });
    const abandoned = await volume.addJob({ state: "abandoned", heartbeatAge: 450 });
    const young = await volume.addJob({ state: "uploaded", age: 20 });
    const silent = await volume.addJob({
      state: "active",
      heartbeatAge: HEARTBEAT_TIMEOUT + 10,
      pod: "gone",
    });
    const look = await lookAt(volume);

    const before = await look.status();
    // Both fifty seconds over their time, then both ten, each the earlier made first.
    expect(before.next!.jobs.map(({ job, action, code }) => [job, action, code])).toEqual([
      [uploaded, "delete", "uploaded-expired"],
      [abandoned, "delete", "abandoned-expired"],
      [failed, "delete", "failed-expired"],
      [completed, "tier", "completed-expired"],
    ]);
    expect(before.next).toMatchObject({ silent: 1, rulesFrom: "cleanup-config", pressed: [] });
    expect(before.next!.totals).toEqual({ delete: { jobs: 2, bytes: 0 }, tier: { jobs: 1, bytes: 0 } });
    expect(before.volumes!.shown[0]).toMatchObject({ name: volume.name, condition: "never-swept" });
    expect(before.level).toBe("attention");

    const dry = await volume.run("sweep", "--dry-run");
    const would = dry.events.filter(
      ({ event, action }) => event === "would" && (action === "delete" || action === "tier"),
    );
    expect(would.map(({ job, action, code }) => [job, action, code]).sort()).toEqual(
      before.next!.jobs.map(({ job, action, code }) => [job, action, code]).sort(),
    );

    expect((await volume.run("sweep")).code).toBe(0);
    const after = await until(look, ({ sweeps }) => sweeps!.length === 1);
    expect(after.sweeps![0]).toMatchObject({
      ...{ volume: volume.name, result: "ok", deleted: 3, tiered: 1, failed: 0, actor: "sweep-pod" },
    });
    expect(after.next).toMatchObject({ jobs: [], due: [], silent: 0 });
    expect(after.volumes!.shown[0]).toMatchObject({
      condition: "ok",
      measuredBy: "sweep",
      usage: [[expect.anything(), expect.anything()]],
    });
    expect(after.audit.recent).toHaveLength(8);
    expect(after.audit.recent![0]).toMatchObject({ sequence: 8, phase: "outcome", volume: volume.name });
    const acme = after.jobs!.tenants.find(({ tenant }) => tenant === "acme");
    expect(acme).toMatchObject({
      jobs: 3,
      onVolumes: { uploaded: { jobs: 1 }, abandoned: { jobs: 1 } },
      inObjectStorage: { jobs: 1 },
    });

    expect(await verified(look)).toMatchObject({
      state: "intact",
      entries: 8,
      chains: 1,
      problemsFound: 0,
    });
    expect((await look.status()).level).toBe("ok");

    const detail = await look.reader.volume(volume.name, 6);
    expect(detail).toMatchObject({ hours: 6, due: [], evicted: [], pressure: null, measured: [] });
    expect(detail!.tenants).toEqual([{ tenant: "acme", jobs: 2, bytes: 0 }]);
    expect(await look.reader.volume("nobodys", 6)).toBe(undefined);

    expect(await look.reader.job(young)).toMatchObject({
      job: { action: "keep", code: "uploaded-young" },
      history: [],
    });
    expect(await look.reader.job(silent)).toMatchObject({ job: { state: "abandoned", action: "keep" } });
    const gone = await look.reader.job(uploaded);
    expect(gone.job).toMatchObject({ location: "none", deleted: true, reason: "nothing of it is left" });
    expect(gone.history.map(({ phase, action, tenant }) => [phase, action, tenant])).toEqual([
      ["intent", "delete", "acme"],
      ["outcome", "delete", "acme"],
    ]);
    expect(await look.reader.job(newJobId())).toMatchObject({ job: null, history: [] });

    const page = await look.reader.audit(volume.name, 3);
    expect(page.map(({ sequence }) => sequence)).toEqual([2, 1]);
  });

  it("foretells which jobs go to make room, in the order in which they then go", async () => {
    const volume = await world.newVolume();
    const { uid, gid } = fs.statSync(volume.root);
    execFileSync("mount", [
      "-t",
      "tmpfs",
      "-o",
      `size=10m,uid=${uid},gid=${gid},mode=2750`,
      "tmpfs",
      volume.root,
    ]);
    mounted.push(volume.root);
    const mebibytes = 2 * 1024 * 1024;
    const ids = [];
    for (let i = 0; i < 4; i++) {
      const id = await volume.addJob({
        state: "uploaded",
        age: 1,
        files: { "source.mp4": "v".repeat(mebibytes) },
      });
      await volume.catalogue.admin(
        `UPDATE storage.jobs SET bytes = $2, last_access_at = now() - make_interval(secs => $3) WHERE job_id = $1`,
        [id, mebibytes, 100 - ((i * 37) % 4) * 10],
      );
      ids.push(id);
    }
    expect((await volume.run("sweep")).events.at(-1)).toMatchObject({ evicted: 0 });
    const pressure = {
      bytes: { highWaterPercent: 60, lowWaterPercent: 45 },
      inodes: { highWaterPercent: 100, lowWaterPercent: 99 },
    };
    const look = await lookAt(volume, { pressure });
    const status = await look.status();
    expect(status.next!.pressed.map(({ volume: name }) => name)).toEqual([volume.name]);
    expect(status.problems.map(({ code }) => code)).toEqual(["still-full"]);
    const detail = await look.reader.volume(volume.name, 24);
    expect(detail!.pressure).toMatch(
      /^8\d\.\d% of the bytes are in use, from 60% on room is made down to 45%$/,
    );
    expect(detail!.evicted.map(({ code }) => code)).toEqual(["uploaded-evicted", "uploaded-evicted"]);

    await volume.run("sweep");
    const intents = (await volume.audit()).filter(({ phase }) => phase === "intent");
    expect(intents.map(({ job }) => job)).toEqual(detail!.evicted.map(({ job }) => job));
    expect(intents.map(({ job }) => job)).toEqual([ids[0], ids[1]]);
  });
});

describe("the audit", () => {
  async function sweptVolume(): Promise<{ volume: Volume; look: Looking }> {
    const volume = await world.newVolume();
    for (let i = 0; i < 3; i++) await volume.addJob({ state: "uploaded", age: 150 });
    await volume.run("sweep");
    return { volume, look: await lookAt(volume) };
  }
  /** As somebody would who has the whole server. */
  const tamper = (volume: Volume, sql: string) =>
    volume.catalogue.admin(`SET LOCAL session_replication_role = replica; ${sql}`);

  it("is shown broken when a row was changed, with the row", async () => {
    const { volume, look } = await sweptVolume();
    await tamper(volume, `UPDATE storage.audit SET reason = 'because' WHERE sequence = 3`);
    expect(await verified(look)).toMatchObject({
      ...{ state: "broken", entries: 6, problemsFound: 1 },
      problems: [{ volume: volume.name, sequence: 3, problem: "its columns don't say what was hashed" }],
    });
    const { level, problems } = await look.status();
    expect(level).toBe("failing");
    expect(problems.map(({ code, message }) => [code, message])).toEqual([
      [
        "audit-broken",
        `The audit is not whole: row 3 of ${volume.name} its columns don't say what was hashed`,
      ],
    ]);
  });

  it("is shown broken when its end, or all of it, was cut off since it was last proven", async () => {
    const { volume, look } = await sweptVolume();
    expect((await verified(look)).state).toBe("intact");
    await tamper(volume, `DELETE FROM storage.audit WHERE sequence > 4`);
    expect(await verified(look)).toMatchObject({
      ...{ state: "broken", entries: 4, problemsFound: 1 },
      problems: [{ sequence: 6, problem: "is missing, and was there" }],
    });
    await tamper(volume, `DELETE FROM storage.audit; DELETE FROM storage.audit_chains`);
    expect(await verified(look)).toMatchObject({
      state: "broken",
      entries: 0,
      chains: 1,
      problemsFound: 1,
    });
  });

  it("stays proven while it can't be asked, and is not called proven when it never was", async () => {
    const { look } = await sweptVolume();
    const other = await lookAt(await world.newVolume());
    expect((await verified(look)).state).toBe("intact");
    await world.postgres.interrupt();
    try {
      const kept = await look.verifier.verify();
      expect([kept.state, kept.entries, kept.failure !== null]).toEqual(["intact", 6, true]);
      const never = await other.verifier.verify();
      expect([never.state, never.entries, never.failure !== null]).toEqual(["failed", 0, true]);
    } finally {
      await world.postgres.resume();
    }
    expect(await verified(look)).toMatchObject({ state: "intact", failure: null });
  });
});

describe("while the catalogue is away", () => {
  it("goes on showing what it said, says since when, and takes up again", async () => {
    const volume = await world.newVolume();
    await volume.addJob({ state: "uploaded", age: 150 });
    await volume.run("sweep");
    const look = await lookAt(volume);
    const before = await look.status();
    expect(before.catalogue).toMatchObject({ state: "ok", problem: null });

    await world.postgres.interrupt();
    try {
      const away = await until(look, ({ catalogue }) => catalogue.state === "unreachable");
      expect(away.level).toBe("failing");
      expect(away.problems[0]!.code).toBe("catalogue-unreachable");
      expect(away.catalogue.problem).toContain("can't be reached now");
      // The clock and hence this run on; what was read is that of before.
      expect(Math.abs(Date.parse(away.catalogue.readAt!) - Date.parse(before.at))).toBeLessThan(1_500);
      expect([away.sweeps, away.audit.recent, away.jobs]).toEqual([
        before.sweeps,
        before.audit.recent,
        before.jobs,
      ]);
      expect(away.volumes!.shown[0]!.usage).toEqual(before.volumes!.shown[0]!.usage);
      await expect(look.reader.volume(volume.name, 24)).rejects.toThrow(CatalogueUnavailableError);

      const late = await lookAtAnother(volume);
      expect(await late.status()).toMatchObject({
        volumes: null,
        jobs: null,
        sweeps: null,
        next: null,
        level: "failing",
      });
    } finally {
      await world.postgres.resume();
    }
    const back = await until(look, ({ catalogue }) => catalogue.state === "ok");
    expect(back.problems).toEqual([]);
    expect(Date.parse(back.at)).toBeGreaterThan(Date.parse(before.at));
  });
});

/** One who begins to look during an outage. */
async function lookAtAnother(volume: Volume): Promise<Looking> {
  const catalogue = volume.catalogue.as("auditor");
  const verifier = new AuditVerifier(catalogue);
  const reader = new StatusReader({
    catalogue,
    contract: stackContract(),
    cleanup: undefined,
    prometheus: undefined,
    verifier,
  });
  const volumes = { search: "", sort: "fullness", page: 1, pageSize: 25 } as const;
  return { reader, verifier, status: () => reader.status({ volumes, patienceMilliseconds: Infinity }) };
}
