import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JobId } from "@video-storage/contract/identity";
import { newJobId } from "@video-storage/contract/identity";
import { lockShared } from "@video-storage/worker/directory-lock";
import { giveTo } from "../support/ownership.js";
import { startWorld } from "./world.js";
import type { JobSpecification, Volume, World } from "./world.js";

let world: World;
let volume: Volume;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

beforeEach(async () => {
  world.objects.fault = "none";
  world.objects.objects.clear();
  world.pods.answers.clear();
  volume = await world.newVolume();
  return () => volume.catalogue.close();
});

async function states(): Promise<Record<string, string>> {
  const rows = await volume.catalogue.admin(
    `SELECT job_id, state, location, deleted_at IS NOT NULL AS deleted FROM storage.jobs`,
  );
  return Object.fromEntries(
    rows.map((row) => [
      row["job_id"],
      `${row["state"]} ${row["location"]}${row["deleted"] ? " deleted" : ""}`,
    ]),
  ) as Record<string, string>;
}

describe("one volume with a job in every state", () => {
  const specifications = {
    uploadedDue: { state: "uploaded", age: 101 },
    uploadedYoung: { state: "uploaded", age: 60 },
    failedDue: { state: "failed", age: 301, tenant: "globex" },
    failedYoung: { state: "failed", age: 200 },
    completedDue: { state: "completed", age: 201 },
    completedYoung: { state: "completed", age: 100 },
    activeFresh: { state: "active" },
    activeFromTheFuture: { state: "active", heartbeatAge: -1000 },
    activeWithLease: { state: "active", heartbeatAge: 1e6 },
    activeWithPod: { state: "active", heartbeatAge: 1e6, pod: "alive" },
    activeWithUnknownPod: { state: "active", heartbeatAge: 1e6, pod: "ill" },
    silentForAWhile: { state: "active", heartbeatAge: 60 },
    silentForLong: { state: "active", heartbeatAge: 500 },
    abandonedDue: { state: "abandoned", heartbeatAge: 401 },
    uploadedWithLease: { state: "uploaded", age: 1e6 },
    uploadedInTheFuture: { state: "uploaded", age: -1000 },
    unknownToTheCatalogue: { state: "completed", only: "directory" },
    aheadOfTheCatalogue: { state: "active", recordState: "failed", recordRevision: 2, heartbeatAge: 1e6 },
    contradicting: { state: "failed", recordState: "active", age: 1e6 },
    withoutDirectory: { state: "uploaded", age: 1e6, only: "row" },
  } satisfies Record<string, JobSpecification>;
  type Name = keyof typeof specifications;

  let ids: Record<Name, JobId>;
  let leases: number[];

  beforeEach(async () => {
    ids = {} as Record<Name, JobId>;
    for (const [name, specification] of Object.entries(specifications)) {
      ids[name as Name] = await volume.addJob(specification);
    }
    world.pods.answers.set("alive", { phase: "Running" });
    world.pods.answers.set("ill", { status: 500 });
    fs.writeFileSync(`${volume.root}/notes.txt`, "not a job");
    fs.mkdirSync(`${volume.root}/.new-unfinished`);
    leases = (["activeWithLease", "uploadedWithLease"] as const).map((name) => {
      const fd = fs.openSync(`${volume.root}/${ids[name]}`, "r");
      lockShared(fd);
      return fd;
    });
    return () => leases.forEach((fd) => fs.closeSync(fd));
  });

  const GONE: Name[] = ["uploadedDue", "failedDue", "completedDue", "abandonedDue"];

  function left(gone: Name[]): string[] {
    const names = Object.keys(ids).filter(
      (name) => !gone.includes(name as Name) && name !== "withoutDirectory",
    ) as Name[];
    return [...names.map((name) => ids[name]), "notes.txt", ".new-unfinished"].sort();
  }

  it("says in a dry run what the sweep would do, and does nothing", async () => {
    const before = await states();
    const { code, events } = await volume.run("sweep", "--dry-run");
    expect(code).toBe(0);
    const would = Object.fromEntries(
      events
        .filter(({ event }) => event === "would")
        .map(({ job, action, code }) => [job, `${action} ${code}`]),
    );
    const byName = Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, would[id]]));
    expect(byName).toEqual({
      uploadedDue: "delete uploaded-expired",
      uploadedYoung: "keep uploaded-young",
      failedDue: "delete failed-expired",
      failedYoung: "keep failed-young",
      completedDue: "tier completed-expired",
      completedYoung: "keep completed-young",
      activeFresh: "keep heartbeat-fresh",
      activeFromTheFuture: "keep future-timestamp",
      activeWithLease: "keep lease-held",
      activeWithPod: "keep pod-alive",
      activeWithUnknownPod: "keep pod-unknown",
      silentForAWhile: "abandon heartbeat-lost",
      silentForLong: "abandon heartbeat-lost",
      abandonedDue: "delete abandoned-expired",
      uploadedWithLease: "keep lease-held",
      uploadedInTheFuture: "keep future-timestamp",
      unknownToTheCatalogue: "report not-in-catalogue",
      aheadOfTheCatalogue: "keep not-replayed",
      contradicting: "report contradiction",
      withoutDirectory: "report directory-missing",
    });
    expect(volume.jobs()).toEqual(left([]));
    expect(fs.existsSync(`${volume.root}/.trash`)).toBe(false);
    expect(await states()).toEqual(before);
    expect(await volume.audit()).toEqual([]);
    expect(world.objects.objects.size).toBe(0);
  });

  it("deletes, tiers and abandons what is due and nothing else; a second sweep goes on", async () => {
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(0);
    expect(events.at(-1)).toMatchObject({
      ...{ event: "swept", result: "ok", deleted: 3, tiered: 1, abandoned: 2, failed: 0, reported: 2 },
    });
    expect(volume.jobs()).toEqual(left(GONE));
    expect(volume.trash()).toEqual([]);

    const rows = await states();
    const byName = (name: Name): string | undefined => rows[ids[name]];
    for (const name of ["uploadedDue", "failedDue", "abandonedDue"] as const) {
      expect(byName(name)).toMatch(/none deleted$/);
    }
    expect(byName("completedDue")).toBe("completed object");
    expect(byName("silentForAWhile")).toBe("abandoned local");
    expect(byName("silentForLong")).toBe("abandoned local");
    expect(byName("activeWithUnknownPod")).toBe("active local");
    expect(byName("unknownToTheCatalogue")).toBe("completed local");
    expect(byName("aheadOfTheCatalogue")).toBe("failed local");

    // Exactly one intent and one outcome for each, intent first, each with what was really freed.
    const audit = await volume.audit();
    expect(audit).toHaveLength(2 * GONE.length);
    for (const name of GONE) {
      const [intent, outcome, ...more] = audit.filter(({ job }) => job === ids[name]);
      expect(more).toEqual([]);
      const action = name === "completedDue" ? "tier" : "delete";
      const tenant = name === "failedDue" ? "globex" : "acme";
      const common = { action, tenant, actor: "sweep-pod", code: `${name.replace("Due", "")}-expired` };
      expect(intent).toMatchObject({ ...common, phase: "intent", bytes: null, files: null, resumed: null });
      // 4,096 bytes of video, a record and a log of a block each.
      expect(outcome).toMatchObject({ ...common, phase: "outcome", bytes: 12_288, files: 3, resumed: false });
    }
    expect(audit.find(({ job }) => job === ids.uploadedDue)!["reason"]).toMatch(
      /^uploaded for 1m|^uploaded for 1\d\ds, allowed are 100s$/,
    );

    const prefix = `/videos/tenants/acme/jobs/${ids.completedDue}/`;
    expect([...world.objects.objects.keys()].sort()).toEqual(
      ["logs/extraction.log", "metadata.json", "source.mp4"].map((key) => prefix + key),
    );
    expect(world.objects.objects.get(`${prefix}source.mp4`)!.toString()).toBe("v".repeat(4096));
    const stored = await volume.catalogue.admin(
      `SELECT object_key, bytes::int, sha256 FROM storage.objects WHERE object_key LIKE '%.mp4'`,
    );
    expect(stored).toEqual([
      {
        object_key: `${prefix.slice("/videos/".length)}source.mp4`,
        bytes: 4096,
        sha256: createHash("sha256").update("v".repeat(4096)).digest("hex"),
      },
    ]);

    const second = await volume.run("sweep");
    expect(second.code).toBe(0);
    expect(second.events.at(-1)).toMatchObject({ event: "swept", deleted: 1, tiered: 0, abandoned: 0 });
    expect(volume.jobs()).toEqual(left([...GONE, "silentForLong"]));
    expect(await volume.audit()).toHaveLength(2 * GONE.length + 2);

    const third = await volume.run("sweep");
    expect(third.events.at(-1)).toMatchObject({ event: "swept", deleted: 0, tiered: 0, abandoned: 0 });
    expect(await volume.audit()).toHaveLength(2 * GONE.length + 2);
    const sweeps = await volume.catalogue.admin(
      `SELECT result, deleted, tiered, actor, finished_at IS NOT NULL AS finished FROM storage.sweeps ORDER BY id`,
    );
    expect(sweeps).toEqual([
      { result: "ok", deleted: 3, tiered: 1, actor: "sweep-pod", finished: true },
      { result: "ok", deleted: 1, tiered: 0, actor: "sweep-pod", finished: true },
      { result: "ok", deleted: 0, tiered: 0, actor: "sweep-pod", finished: true },
    ]);
  });

  it("deletes nothing while the catalogue is away, and goes on when it is back", async () => {
    await world.postgres.interrupt();
    const down = await volume.run("sweep").finally(() => world.postgres.resume());
    expect(down.code).toBe(3);
    expect(down.errors).toMatchObject([{ event: "catalogue-unavailable", level: "error" }]);
    expect(volume.jobs()).toEqual(left([]));
    expect(volume.trash()).toEqual([]);
    expect(world.objects.objects.size).toBe(0);

    const back = await volume.run("sweep");
    expect(back.code).toBe(0);
    expect(volume.jobs()).toEqual(left(GONE));
  });

  it.each(["unavailable", "corrupts"] as const)(
    "tiers nothing while object storage is at fault (%s), and deletes the rest",
    async (fault) => {
      world.objects.fault = fault;
      const { code, events } = await volume.run("sweep");
      expect(code).toBe(1);
      expect(events.filter(({ event }) => event === "failed")).toMatchObject([{ job: ids.completedDue }]);
      expect(volume.jobs()).toEqual(left(["uploadedDue", "failedDue", "abandonedDue"]));
      expect((await volume.audit()).filter(({ action }) => action === "tier")).toEqual([]);
      expect((await states())[ids.completedDue]).toBe("completed local");
    },
  );

  it("explains one job", async () => {
    const { code, events } = await volume.run("explain", ids.uploadedYoung);
    expect(code).toBe(0);
    expect(events).toMatchObject([
      {
        job: ids.uploadedYoung,
        decision: { action: "keep", code: "uploaded-young", state: "uploaded" },
        record: { readable: true, tenantId: "acme", state: "completed" },
        leaseHeld: false,
        history: [],
      },
    ]);
    await volume.run("sweep");
    const { events: after } = await volume.run("explain", ids.uploadedDue);
    expect(after).toMatchObject([
      {
        decision: { action: "keep", code: "not-local" },
        record: null,
        catalogue: { deleted: true },
        history: [{ phase: "intent" }, { phase: "outcome", files: 3 }],
      },
    ]);
    expect((await volume.run("explain", "../../etc")).code).toBe(2);
  });
});

describe("audit", () => {
  it("is proven whole, and the first row that isn't is named", async () => {
    const job = await volume.addJob({ state: "uploaded", age: 1000 });
    await volume.addJob({ state: "failed", age: 1000 });
    await volume.run("sweep");
    const whole = await volume.run("audit", "verify");
    expect(whole).toMatchObject({ code: 0, events: [{ event: "verified", intact: true, entries: 4 }] });

    const exported = await volume.run("audit", "export");
    // Jobs are dealt with a few at a time, so only each one's own rows have an order.
    expect(exported.events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    const phases = exported.events.filter(({ jobId }) => jobId === job).map(({ phase }) => phase);
    expect(phases).toEqual(["intent", "outcome"]);

    await volume.catalogue.admin(`ALTER TABLE storage.audit DISABLE TRIGGER audit_append_only`);
    await volume.catalogue.admin(
      `UPDATE storage.audit SET bytes = 1 WHERE job_id = $1 AND phase = 'outcome'`,
      [job],
    );
    const broken = await volume.run("audit", "verify");
    expect(broken.code).toBe(4);
    expect(broken.events[0]).toMatchObject({ event: "broken", volume: "node-0-slot-0" });
    expect([2, 3, 4]).toContain(broken.events[0]!["sequence"]);
  });
});

describe("hostile and broken jobs", () => {
  it("deletes a hostile job without a capability and leaves its neighbour whole", async () => {
    const neighbour = await volume.addJob({ state: "active" });
    const hostile = await volume.addJob({ state: "uploaded", age: 1000 });
    const inside = `${volume.root}/${hostile}`;
    fs.symlinkSync(`../${neighbour}`, `${inside}/neighbour`);
    fs.symlinkSync(`../../${neighbour}/source.mp4`, `${inside}/logs/link`);
    fs.linkSync(`${volume.root}/${neighbour}/source.mp4`, `${inside}/hard-link`);
    execFileSync("mkfifo", [`${inside}/fifo`]);
    fs.mkdirSync(`${inside}/closed/inner`, { recursive: true });
    giveTo(fs.statSync(`${inside}/metadata.json`), inside);
    fs.chmodSync(`${inside}/closed`, 0);
    fs.chmodSync(inside, 0);
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(0);
    expect(events.find(({ event }) => event === "deleted")).toMatchObject({ job: hostile, files: 7 });
    expect(volume.jobs()).toEqual([neighbour]);
    expect(fs.readFileSync(`${volume.root}/${neighbour}/source.mp4`, "utf8")).toBe("v".repeat(4096));
  });

  it("isn't stopped by a record that is a FIFO, a link, a giant, or somebody else's", async () => {
    const spoil: ((record: string) => void)[] = [
      (record) => execFileSync("mkfifo", [record]),
      (record) => fs.symlinkSync("/etc/hostname", record),
      (record) => fs.writeFileSync(record, "{".repeat(2 * 1024 * 1024)),
      (record) => fs.writeFileSync(record, JSON.stringify({ version: 99 })),
    ];
    const spoilt: string[] = [];
    for (const how of spoil) {
      const due = await volume.addJob({ state: "failed", age: 1000 });
      const unknown = await volume.addJob({ state: "failed", only: "directory" });
      for (const id of [due, unknown]) {
        fs.unlinkSync(`${volume.root}/${id}/metadata.json`);
        how(`${volume.root}/${id}/metadata.json`);
      }
      spoilt.push(unknown);
    }
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(0);
    // The catalogue suffices for a finished job; what it doesn't know is never deleted.
    expect(events.at(-1)).toMatchObject({ deleted: 4, reported: 4, keptBecause: { "not-in-catalogue": 4 } });
    expect(volume.jobs()).toEqual(spoilt.sort());
  });

  it("reports what is here again after its deletion, or belongs to another volume", async () => {
    const back = await volume.addJob({ state: "uploaded", age: 1000 });
    const copy = fs.mkdtempSync("/tmp/copy-");
    execFileSync("cp", ["-a", `${volume.root}/${back}`, copy]);
    await volume.run("sweep");
    execFileSync("cp", ["-a", `${copy}/${back}`, volume.root]);
    fs.rmSync(copy, { recursive: true });
    const elsewhere = await volume.addJob({ state: "uploaded", age: 1000 });
    await volume.catalogue.admin(`UPDATE storage.jobs SET volume = 'other' WHERE job_id = $1`, [elsewhere]);
    const { events } = await volume.run("sweep");
    expect(events.at(-1)).toMatchObject({
      deleted: 0,
      keptBecause: { "deleted-but-present": 1, "other-volume": 1 },
    });
    expect(volume.jobs()).toEqual([back, elsewhere].sort());
  });

  it("refuses to tier what it can't copy whole, and keeps it", async () => {
    const changed = await volume.addJob({ state: "completed", age: 1000 });
    fs.appendFileSync(`${volume.root}/${changed}/source.mp4`, "more");
    const linked = await volume.addJob({ state: "completed", age: 1000 });
    fs.linkSync(`${volume.root}/${linked}/source.mp4`, `${volume.root}/${linked}/second.mp4`);
    const symbolic = await volume.addJob({ state: "completed", age: 1000 });
    fs.symlinkSync("/etc/hostname", `${volume.root}/${symbolic}/logs/hostname`);
    const { code, events } = await volume.run("sweep");
    expect(code).toBe(1);
    expect(events.at(-1)).toMatchObject({ tiered: 0, failed: 3 });
    expect(volume.jobs()).toEqual([changed, linked, symbolic].sort());
    expect(await volume.audit()).toEqual([]);
    expect(
      [...world.objects.objects.keys()].filter((key) => key.endsWith(".mp4") || key.includes("hostname")),
    ).toEqual([]);
  });

  it("leaves unexplained trash alone until it is old, then says so before it goes", async () => {
    const job = newJobId();
    fs.mkdirSync(`${volume.root}/.trash/${job}`, { recursive: true, mode: 0o700 });
    giveTo(fs.statSync(volume.root), `${volume.root}/.trash`);
    await volume.run("sweep");
    expect(volume.trash()).toEqual([job]);
    volume.configure({ retention: { ...(await import("./world.js")).RETENTION, trashSeconds: 0 } });
    expect((await volume.run("sweep")).code).toBe(0);
    expect(volume.trash()).toEqual([]);
    expect(await volume.audit()).toMatchObject([
      { job, tenant: null, phase: "intent", code: "trash-expired" },
      { job, tenant: null, phase: "outcome", code: "trash-expired", files: 0 },
    ]);
  });
});

describe("settings", () => {
  it.each([
    [{ version: 2 }, "only 1"],
    [{ retention: {} }, "uploadedSeconds"],
    [{ heartbeatTimeoutSecond: 5 }, "heartbeatTimeoutSecond"],
  ])("refuses %j before anything is touched", async (changes, message) => {
    const job = await volume.addJob({ state: "uploaded", age: 1000 });
    volume.configure(changes);
    const { code, errors } = await volume.run("sweep");
    expect(code).toBe(2);
    expect(JSON.stringify(errors)).toContain(message);
    expect(volume.jobs()).toEqual([job]);
  });

  it("refuses a login that the catalogue doesn't take", async () => {
    const job = await volume.addJob({ state: "uploaded", age: 1000 });
    fs.writeFileSync(`${volume.root}/../catalogue/password`, "wrong");
    const { code, errors } = await volume.run("sweep");
    expect(code).toBe(2);
    expect(JSON.stringify(errors)).not.toContain("wrong");
    expect(volume.jobs()).toEqual([job]);
  });
});
