import { execFileSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { newJobId } from "@video-storage/contract/identity";
import type { JobId } from "@video-storage/contract/identity";
import { objectStorageClient } from "@video-storage/worker/object-storage";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { startWorld } from "../cleanup-job/world.js";
import type { JobSpecification, Volume, World } from "../cleanup-job/world.js";
import { setUp } from "../support/bucket-roles.js";
import { isPlayed, seed, THOROUGH } from "../support/rounds.js";
import { startMinio } from "../support/s3-servers.js";
import type { S3Server } from "../support/s3-servers.js";
import { check } from "./checker/checker.js";
import { CODES } from "./checker/codes.js";
import type { Code } from "./checker/codes.js";
import type { Anchor, Claim, Evidence, Outage, Violation } from "./checker/evidence.js";
import { readBucket, readCatalogue, readDisk, sha256Of, tryReach } from "./checker/gathering.js";
import type { TenantAccess } from "./checker/gathering.js";

// The checker is only worth something if it finds what is wrong. What it reads here is made by the real sweep on a
// real disk, bucket and database, and is then broken in one way after another.

const endpoint = process.env["TEST_S3_ENDPOINT"]!;
const credentials = { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" };

const TIMES = {
  ...{ uploaded: 100, completed: 200, failed: 300, abandoned: 400, trash: 500, staged: 600, orphaned: 700 },
  ...{ heartbeatTimeout: 50, period: 60, janitorPeriod: 60, sweep: 30 },
};
const HOUR = 3_600;

let world: World;
let s3: S3Client;
let bucket: string;
let volume: Volume;
let began: number;
let claims: Claim[];
/** Of each kind that a healthy volume has, after a sweep. */
let jobs: Record<"active" | "young" | "moved" | "uploaded" | "failed" | "failing", JobId>;
const seen = new Set<Code>();

const SEED = seed("CHECKER_SEED");
let numbered = 0;
/** All in a thorough run, and every fourth in another, since each breaks a volume of its own. */
function brokenIt(title: string, test: () => Promise<void>): void {
  it.runIf(isPlayed(numbered++, 4, SEED))(`${title} (CHECKER_SEED=${SEED % 4})`, test);
}

const settings = () => ({ endpoint, region: "us-east-1", bucket, forcePathStyle: true });

beforeAll(async () => {
  world = await startWorld();
  s3 = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials: { ...credentials } });
});
afterAll(async () => {
  s3?.destroy();
  await world?.stop();
});
beforeEach(async () => {
  bucket = `soak-${randomUUID()}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  volume = await world.newVolume();
  const secrets = path.join(path.dirname(volume.root), "object-storage");
  for (const [name, value] of Object.entries(credentials)) fs.writeFileSync(`${secrets}/${name}`, value);
  configure({});
  claims = [];
  jobs = {
    active: await begin({ state: "active" }),
    young: await begin({ state: "completed" }),
    moved: await begin({ state: "completed", age: 210 }),
    uploaded: await begin({ state: "uploaded", age: 110 }),
    failed: await begin({ state: "failed", age: 310 }),
    failing: await begin({ state: "failed", age: 10 }),
  };
  began = Date.now();
  await sweep();
});

function configure(changes: Record<string, unknown>): void {
  volume.configure({ objectStorage: settings(), tiering: { packBelowBytes: 131_072 }, ...changes });
}

async function sweep(): Promise<void> {
  const { code } = await volume.run("sweep");
  if (code !== 0) throw new Error(`the sweep ended with ${code}`);
}

/** A job as its worker left it, and what the worker said of it. */
async function begin(specification: JobSpecification): Promise<JobId> {
  const content = randomBytes(6_000).toString("base64");
  const files = { "source.mp4": content, "facts.json": randomBytes(20).toString("hex") };
  const jobId = await volume.addJob({ files, ...specification });
  // Workers make them so; see docs/isolation.md.
  execFileSync("chmod", ["-R", "g-w,o-rwx", `${volume.root}/${jobId}`]);
  const at = Date.now() - HOUR * 1000;
  const { state } = specification;
  claims.push({
    ...{ jobId, tenantId: specification.tenant ?? "acme", volume: volume.name, pod: `pod-${jobId}` },
    createdAt: at,
    files: Object.fromEntries(
      Object.entries(files).map(([name, text]) => [
        name,
        { bytes: text.length, sha256: sha256Of(Buffer.from(text)) },
      ]),
    ),
    ...(state !== "active" && { endingAt: at }),
    ...((state === "completed" || state === "uploaded") && { completedAt: at }),
    ...(state === "uploaded" && { uploadedAt: at }),
    ...(state === "failed" && { failedAt: at }),
  });
  return jobId;
}

interface Told {
  /** Seconds from now at which the check is made. */
  readonly later?: number;
  /** Default: everything was away until the jobs were there, and nothing since. */
  readonly outages?: readonly Outage[];
  readonly anchors?: readonly Anchor[];
  readonly attempts?: Evidence["attempts"];
  readonly endedPods?: ReadonlyMap<string, number>;
}

async function evidence(told: Told = {}): Promise<Evidence> {
  const { uid, gid } = fs.statSync(volume.root);
  const disk = await readDisk({
    ...{ name: volume.name, node: "node-0", path: volume.root, uid, uploadGid: gid, tenant: "acme" },
  });
  const catalogue = await readCatalogue(volume.catalogue.adminUrl);
  return {
    run: {
      startedAt: began,
      claims,
      endedPods: told.endedPods ?? new Map(),
      outages: told.outages ?? [{ what: "everything", node: null, from: 0, until: began }],
      anchors: told.anchors ?? [],
      times: TIMES,
    },
    disks: [disk],
    bucket,
    objects: await readBucket(s3, bucket),
    catalogue: { ...catalogue, now: catalogue.now + (told.later ?? 0) * 1000 },
    attempts: told.attempts ?? [],
  };
}

async function found(told: Told = {}): Promise<Violation[]> {
  return check(await evidence(told));
}

/** Expects these violations among those found, by code and what they are about. */
async function expectFound(wanted: readonly [Code, string][], told: Told = {}): Promise<void> {
  const violations = await found(told);
  for (const [code] of wanted) seen.add(code);
  const named = violations.map(({ code, subject }) => [code, subject]);
  expect(named).toEqual(expect.arrayContaining(wanted.map((pair) => [...pair])));
}

const directoryOf = (jobId: string) => `${volume.root}/${jobId}`;
const remove = (directory: string) => fs.rmSync(directory, { recursive: true });
const admin = (sql: string, values?: readonly unknown[]) => volume.catalogue.admin(sql, values);
/** Past what keeps the audit from being changed, as its owner could. */
const tamper = async (...statements: string[]) => {
  await admin(`alter table storage.audit disable trigger user`);
  for (const statement of statements) await admin(statement);
};
const row = (phase: string, action: string, jobId: string, at = volume.name) =>
  admin(
    `insert into storage.audit (volume, tenant_id, job_id, phase, action, reason, actor)
     values ($1, 'acme', $2, $3, $4, 'the test says so', 'test')`,
    [at, jobId, phase, action],
  );
const keyOf = (jobId: string, name: string, tenant = "acme") => `tenants/${tenant}/jobs/${jobId}/${name}`;
const put = (Key: string, Body: Uint8Array | string) =>
  s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
const source = (jobId: string) => fs.readFileSync(`${directoryOf(jobId)}/source.mp4`);

describe("the checker, after a real sweep", () => {
  it("finds nothing wrong with a volume on which nothing is", async () => {
    const { disks, objects, catalogue } = await evidence();
    const outcomes = catalogue.audit.filter(({ phase }) => phase === "outcome").map(({ action }) => action);
    expect(outcomes.sort()).toEqual(["delete", "delete", "tier"]);
    expect([...disks[0]!.records.keys()].sort()).toEqual([jobs.active, jobs.young, jobs.failing].sort());
    expect(objects.length).toBe(2);
    expect(await found()).toEqual([]);
  });

  it("finds nothing wrong when what is overdue never had an undisturbed period", async () => {
    const now = Date.now();
    const outages = [
      { what: "everything", node: null, from: 0, until: began },
      ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((minute) => ({
        ...{
          what: "the node",
          node: "node-0",
          from: now + minute * 60_000,
          until: now + minute * 60_000 + 1,
        },
      })),
    ];
    expect(await found({ later: 600, outages })).toEqual([]);
    const elsewhere = outages.map((outage) => ({ ...outage, node: outage.node && "node-1" }));
    expect(
      (await found({ later: 600, outages: elsewhere })).map(({ code, subject }) => [code, subject]),
    ).toEqual(expect.arrayContaining([["overdue", jobs.failing]]));
  });
});

describe("a broken promise about jobs", () => {
  brokenIt("is found when an active job's directory is gone", async () => {
    remove(directoryOf(jobs.active));
    await expectFound([
      ["active-job-lost", jobs.active],
      ["content-lost", jobs.active],
      ["deleted-without-row", jobs.active],
    ]);
  });

  brokenIt("is found when an active job was found abandoned", async () => {
    await admin(`update storage.jobs set state = 'abandoned' where job_id = $1`, [jobs.active]);
    await expectFound([["active-job-lost", jobs.active]]);
  });

  brokenIt("is found when the record of an active job says that it ended", async () => {
    const file = `${directoryOf(jobs.active)}/metadata.json`;
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace('"active"', '"failed"'));
    await expectFound([["active-job-lost", jobs.active]]);
  });

  brokenIt("is found when a deletion of an active job was begun", async () => {
    await row("intent", "delete", jobs.active);
    await expectFound([["active-job-touched", jobs.active]]);
  });

  brokenIt("is no broken promise when its worker had ended before", async () => {
    await row("intent", "delete", jobs.active);
    const endedPods = new Map([[`pod-${jobs.active}`, Date.now() - 10_000]]);
    const codes = (await found({ endedPods })).map(({ code }) => code);
    expect(codes).not.toContain("active-job-touched");
    expect(codes).not.toContain("active-job-lost");
  });

  brokenIt("is found when a job is nowhere", async () => {
    remove(directoryOf(jobs.young));
    await admin(`delete from storage.jobs where job_id = $1`, [jobs.young]);
    await expectFound([["job-lost", jobs.young]]);
  });

  brokenIt("is found when no sweep told the catalogue of a job", async () => {
    await admin(`delete from storage.jobs where job_id = $1`, [jobs.young]);
    await expectFound([["job-unknown", jobs.young]], { later: 120 });
  });

  brokenIt("is found when the catalogue has a job under another tenant", async () => {
    await admin(`update storage.jobs set tenant_id = 'globex' where job_id = $1`, [jobs.young]);
    await expectFound([
      ["job-of-another", jobs.young],
      ["foreign-record", `${volume.name}/${jobs.young}`],
    ]);
  });

  brokenIt("is found when the sweep deletes what nobody uploaded", async () => {
    const jobId = await begin({ state: "completed", age: 300 });
    const retention = {
      ...{ uploadedSeconds: 100, completedSeconds: 200, failedSeconds: 300, abandonedSeconds: 400 },
      ...{ trashSeconds: 500, stagedSeconds: 600, orphanedSeconds: 700, completedAction: "delete" },
    };
    configure({ retention });
    await sweep();
    await expectFound([["unuploaded-job-deleted", jobId]]);
  });

  brokenIt("is found when a file that was acknowledged is lost or changed, on its volume", async () => {
    fs.unlinkSync(`${directoryOf(jobs.young)}/facts.json`);
    fs.appendFileSync(`${directoryOf(jobs.young)}/source.mp4`, "x");
    await expectFound([
      ["content-lost", jobs.young],
      ["content-differs", jobs.young],
    ]);
  });

  brokenIt("is found when a file that was acknowledged is lost or changed, in the bucket", async () => {
    const pack = (await evidence()).objects.find(({ key }) => key.endsWith(".tar"))!;
    await put(pack.key, Buffer.alloc(pack.bytes));
    await expectFound([
      ["content-differs", jobs.moved],
      ["object-differs", pack.key],
    ]);
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: pack.key }));
    await expectFound([
      ["content-lost", jobs.moved],
      ["object-missing", pack.key],
    ]);
  });
});

describe("a broken promise about times", () => {
  brokenIt("is found when a failed job outlives its time and a period", async () => {
    await expectFound([["overdue", jobs.failing]], { later: 300 + 60 + 31 });
    // It has failed for ten seconds.
    const before = await found({ later: 290 + 60 + 20 });
    expect(before.filter(({ subject }) => subject === jobs.failing)).toEqual([]);
  });

  brokenIt("is found when a job whose worker died stays active", async () => {
    const endedPods = new Map([[`pod-${jobs.active}`, Date.now()]]);
    await expectFound([["overdue", jobs.active]], { later: 50 + 60 + 31, endedPods });
  });

  brokenIt("is found when a job went, but too late", async () => {
    const jobId = await begin({ state: "failed", age: HOUR });
    await sweep();
    await expectFound([["overdue", jobId]], { outages: [] });
  });

  brokenIt("is found when sweeps pass by what is due", async () => {
    const jobId = await begin({ state: "failed", age: 310 });
    configure({ retention: { ...RETENTION_OF_A_YEAR } });
    await sweep();
    await sweep();
    await expectFound([["passed-by", jobId]]);
  });

  brokenIt("is found when a job goes before its time", async () => {
    configure({ retention: { ...RETENTION_OF_A_YEAR, failedSeconds: 5 } });
    await sweep();
    await expectFound([["deleted-early", jobs.failing]]);
  });

  brokenIt("is found when something stays in the trash, or on the volume without being a job's", async () => {
    fs.mkdirSync(`${volume.root}/.trash/${jobs.failed}`, { mode: 0o750 });
    const jobId = await begin({ state: "completed", only: "directory" });
    await expectFound(
      [
        ["left-in-trash", `${volume.name}/.trash/${jobs.failed}`],
        ["row-without-deletion", jobs.failed],
        ["unknown-directory", `${volume.name}/${jobId}`],
      ],
      { later: HOUR },
    );
  });

  brokenIt("is found when objects outlive their time", async () => {
    await admin(`update storage.jobs set state = 'uploaded' where job_id = $1`, [jobs.moved]);
    const left = keyOf(newJobId(), "source.mp4");
    await put(left, "x");
    await expectFound(
      [
        ["staged-overdue", jobs.moved],
        ["object-left", left],
      ],
      { later: HOUR },
    );
  });
});

const RETENTION_OF_A_YEAR = Object.fromEntries([
  ...["uploaded", "completed", "failed", "abandoned", "trash", "staged", "orphaned"].map(
    (state) => [`${state}Seconds`, 31_536_000] as [string, number | string],
  ),
  ["completedAction", "tier"],
]);

describe("a broken promise about who can reach what", () => {
  brokenIt("is found by owners, modes, links and second names on a volume", async () => {
    const of = directoryOf(jobs.young);
    const at = (name: string) => `${volume.name}/${jobs.young}/${name}`;
    fs.chownSync(`${of}/facts.json`, 10_777, 10_777);
    fs.chmodSync(`${of}/source.mp4`, 0o644);
    fs.chmodSync(`${of}/metadata.json`, 0o660);
    fs.symlinkSync("/etc/passwd", `${of}/link`);
    fs.linkSync(`${of}/source.mp4`, `${of}/second`);
    execFileSync("mkfifo", [`${of}/pipe`]);
    await expectFound([
      ["foreign-owner", at("facts.json")],
      ["open-mode", at("source.mp4")],
      ["open-mode", at("metadata.json")],
      ["unsafe-entry", at("link")],
      ["unsafe-entry", at("second")],
      ["unsafe-entry", at("pipe")],
    ]);
  });

  brokenIt("is found when a tenant's job is on another's volume", async () => {
    const jobId = await begin({ state: "active", tenant: "globex" });
    await expectFound([["foreign-record", `${volume.name}/${jobId}`]]);
  });

  brokenIt("is found when two volumes have one user", async () => {
    const whole = await evidence();
    const [disk] = whole.disks;
    const twice = [disk!, { ...disk!, volume: { ...disk!.volume, name: "node-0-slot-1" } }];
    const codes = check({ ...whole, disks: twice }).map(({ code }) => code);
    seen.add("shared-user");
    expect(codes).toContain("shared-user");
  });

  brokenIt("is found by keys", async () => {
    await put("somewhere/else", "x");
    const foreign = keyOf(jobs.moved, "source.mp4", "globex");
    await put(foreign, "x");
    await expectFound([
      ["foreign-key", "somewhere/else"],
      ["foreign-key", foreign],
    ]);
  });

  brokenIt("is found when a row leads to another tenant's object", async () => {
    // The table's own check refuses such a row.
    await admin(`alter table storage.objects drop constraint objects_check`);
    const key = keyOf(jobs.moved, "source.mp4", "globex");
    await admin(
      `insert into storage.objects (tenant_id, job_id, bucket, object_key, bytes, sha256)
       values ('acme', $1, $2, $3, 1, repeat('0', 64))`,
      [jobs.moved, bucket, key],
    );
    await expectFound([["foreign-key", key]]);
  });

  brokenIt("is found by content", async () => {
    const key = keyOf(newJobId(), "source.mp4", "globex");
    await put(key, source(jobs.young));
    await expectFound([["foreign-content", key]]);
  });
});

describe("what a tenant's credentials reach, on a real MinIO with the stack's roles", () => {
  const BUCKET = "videos";
  let server: S3Server;
  let administrator: S3Client;
  let secrets: Record<string, string>;

  beforeAll(async () => {
    server = await startMinio();
    administrator = clientOf(server.administrator.accessKeyId, server.administrator.secretAccessKey);
    ({ secrets } = await setUp(server, BUCKET, ["acme", "globex"]));
  }, 300_000);
  afterAll(async () => {
    administrator?.destroy();
    await server?.stop();
  });

  const clientOf = (accessKeyId: string, secretAccessKey: string): S3Client =>
    objectStorageClient(
      {
        ...{ endpoint: server.endpoint, region: "us-east-1", bucket: BUCKET },
        forcePathStyle: true,
        caFile: server.caFile,
      },
      { accessKeyId, secretAccessKey },
    );
  const access = (tenant: string, change: Partial<TenantAccess> = {}): TenantAccess => {
    const url = new URL(volume.catalogue.adminUrl);
    url.username = `worker_${tenant}`;
    url.password = `worker_${tenant}-password`;
    const s3 = clientOf(`worker-${tenant}`, secrets[`worker-${tenant}`]!);
    return { tenant, catalogueUrl: url.href, s3, ...change };
  };
  const reach = async (tenants: readonly TenantAccess[]): Promise<Violation[]> => {
    const Key = keyOf(jobs.moved, "source.mp4");
    await administrator.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: "x" }));
    const attempts = await tryReach(tenants, BUCKET, administrator, [{ key: Key }]);
    expect(attempts.length).toBeGreaterThan(15);
    return (await found({ attempts })).filter(({ code }) => code.startsWith("credentials"));
  };

  it("is their own alone", async () => {
    expect(await reach([access("acme"), access("globex")])).toEqual([]);
    const left = await readBucket(administrator, BUCKET);
    expect(left.map(({ key }) => key)).toEqual([keyOf(jobs.moved, "source.mp4")]);
  });

  brokenIt("is found to be too much, by keys and by rows", async () => {
    const everything = { s3: administrator, catalogueUrl: volume.catalogue.adminUrl };
    const violations = await reach([access("acme"), access("globex", everything)]);
    seen.add("credentials-reach");
    expect(violations.map(({ subject, detail }) => [subject, detail])).toEqual([
      ["globex", "could list the whole bucket"],
      ["globex", "could list tenants/acme/"],
      ["globex", `could read ${keyOf(jobs.moved, "source.mp4")}`],
      ["globex", "could write tenants/acme/probe-of-the-checker"],
      ["globex", "could see others' rows of storage.jobs"],
      ["globex", "could see others' rows of storage.objects"],
    ]);
  });

  it("is not taken for nothing when they reach nothing at all", async () => {
    const violations = await reach([
      access("acme"),
      access("globex", { s3: clientOf("nobody", "wrong-secret-key") }),
    ]);
    seen.add("credentials-void");
    expect(violations.map(({ code, subject }) => [code, subject])).toEqual([
      ["credentials-void", "globex"],
      ["credentials-void", "globex"],
    ]);
  });
});

describe("a broken promise about the audit", () => {
  const deletion = (jobId: string) => `delete of ${jobId}`;

  brokenIt("is found when a row was changed, in its column or in all of it", async () => {
    await tamper(`update storage.audit set reason = 'another' where sequence = 1`);
    await expectFound([["row-differs", `${volume.name} 1`]]);
    await admin(`update storage.audit set payload = storage.audit_payload(audit) where sequence = 1`);
    await expectFound([["chain-broken", `${volume.name} 1`]]);
    await admin(
      `update storage.audit set hash = sha256(previous_hash || convert_to(payload, 'UTF8')) where sequence = 1`,
    );
    await expectFound([["chain-broken", `${volume.name} 2`]]);
  });

  brokenIt("is found when a row was taken out", async () => {
    await tamper(`delete from storage.audit where sequence = 2`);
    await expectFound([["chain-broken", `${volume.name} 3`]]);
  });

  brokenIt("is found when the last rows were taken away, by what was seen before", async () => {
    const { volume: name, sequence, hash } = (await evidence()).catalogue.audit.at(-1)!;
    const anchors = [{ volume: name, sequence, hash }];
    expect(await found({ anchors })).toEqual([]);
    await tamper(`delete from storage.audit where sequence = ${sequence}`);
    await expectFound([["chain-broken", `${name} ${sequence}`]], { anchors });
  });

  brokenIt("is found when a deletion has two intents or two outcomes", async () => {
    await admin(`drop index storage.audit_one_intent`);
    await admin(`drop index storage.audit_one_outcome`);
    await row("intent", "delete", jobs.failed);
    await row("outcome", "delete", jobs.failed);
    await expectFound([
      ["two-intents", deletion(jobs.failed)],
      ["two-outcomes", deletion(jobs.failed)],
    ]);
  });

  brokenIt("is found when an outcome has no intent before it", async () => {
    await tamper(`delete from storage.audit where phase = 'intent' and job_id = '${jobs.failed}'`);
    await expectFound([["outcome-without-intent", deletion(jobs.failed)]]);
  });

  brokenIt("is found when something was deleted and no row says so", async () => {
    remove(directoryOf(jobs.failing));
    await admin(`update storage.jobs set location = 'none', deleted_at = now() where job_id = $1`, [
      jobs.young,
    ]);
    await admin(`update storage.objects set removed_at = now() where object_key = $1`, [
      keyOf(jobs.moved, "metadata.json"),
    ]);
    await expectFound([
      ["deleted-without-row", jobs.failing],
      ["deleted-without-row", jobs.young],
      ["deleted-without-row", keyOf(jobs.moved, "metadata.json")],
    ]);
  });

  brokenIt("is found when a job was moved and no row says so", async () => {
    await admin(`update storage.jobs set location = 'object' where job_id = $1`, [jobs.young]);
    await expectFound([["deleted-without-row", jobs.young]]);
  });

  brokenIt("is found when a deletion was begun and never finished", async () => {
    await row("intent", "delete", jobs.failing);
    remove(directoryOf(jobs.failing));
    await row("intent", "expire", jobs.moved, `bucket:${bucket}`);
    const key = keyOf(jobs.moved, "metadata.json");
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
    await expectFound(
      [
        ["deletion-unfinished", jobs.failing],
        ["deletion-unfinished", key],
      ],
      { later: HOUR },
    );
    const atOnce = await found();
    expect(atOnce.map(({ code }) => code)).not.toContain("deletion-unfinished");
  });

  brokenIt("is found when a row tells of a deletion that was none", async () => {
    fs.mkdirSync(directoryOf(jobs.moved), { mode: 0o750 });
    await row("intent", "expire", jobs.moved, `bucket:${bucket}`);
    await row("outcome", "expire", jobs.moved, `bucket:${bucket}`);
    const violations = await found();
    seen.add("row-without-deletion");
    expect(
      violations.filter(({ code }) => code === "row-without-deletion").map(({ detail }) => detail.slice(-60)),
    ).toEqual([
      expect.stringContaining("2 of its objects are there"),
      expect.stringContaining("its directory is in its place"),
    ]);
  });

  brokenIt("is found when an object is there, and its content another", async () => {
    const key = keyOf(jobs.moved, "metadata.json");
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    await put(key, `${await Body!.transformToString()} `);
    await expectFound([["object-differs", key]]);
  });
});

describe("these tests", () => {
  it.runIf(THOROUGH)("have seen the checker find each thing that it can find", () => {
    expect([...seen].sort()).toEqual(Object.keys(CODES).sort());
  });
});
