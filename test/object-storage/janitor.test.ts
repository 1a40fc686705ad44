import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import type { JobId } from "@video-storage/contract/identity";
import { jobPrefix } from "@video-storage/contract/layout";
import { RETENTION, startWorld } from "../cleanup-job/world.js";
import type { Run, Volume, World } from "../cleanup-job/world.js";

/** The program, Postgres and an S3 server, all real. */

const endpoint = process.env["TEST_S3_ENDPOINT"]!;
const credentials = { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" };
const tenantId = parseTenantId("acme");
const JANITOR = { periodSeconds: 0, unfinishedUploadSeconds: 0 };

let world: World;
let s3: S3Client;
let bucket: string;
let volume: Volume;

beforeAll(async () => {
  world = await startWorld();
  s3 = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials: { ...credentials } });
});
afterAll(async () => {
  s3?.destroy();
  await world?.stop();
});
beforeEach(async () => {
  bucket = `janitor-${randomUUID()}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  volume = await world.newVolume();
  const secrets = path.join(path.dirname(volume.root), "object-storage");
  for (const [name, value] of Object.entries(credentials)) fs.writeFileSync(`${secrets}/${name}`, value);
  configure({});
});

function configure(changes: Record<string, unknown>): void {
  volume.configure({
    objectStorage: { endpoint, region: "us-east-1", bucket, forcePathStyle: true },
    tiering: { packBelowBytes: 131_072 },
    janitor: JANITOR,
    retention: { ...RETENTION, stagedSeconds: 600, orphanedSeconds: 0 },
    ...changes,
  });
}
async function keys(): Promise<string[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
  return Contents.map(({ Key }) => Key!).sort();
}
async function put(Key: string, Body = "data"): Promise<string> {
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  return Key;
}
const tidied = ({ events }: Run): Record<string, unknown> => events.at(-1)!;
/** Tiered by a sweep, then in that state and unused for so long. */
async function stagedJob(state: string, idleSeconds: number): Promise<JobId> {
  const job = await volume.addJob({ state: "completed", age: 1000 });
  await volume.run("sweep");
  await volume.catalogue.admin(
    `ALTER TABLE storage.jobs DISABLE TRIGGER jobs_before_update;
     UPDATE storage.jobs SET state = '${state}', state_changed_at = now() - interval '${idleSeconds} s',
       last_access_at = now() - interval '${idleSeconds} s' WHERE job_id = '${job}';
     UPDATE storage.objects SET verified_at = now() - interval '${idleSeconds} s' WHERE job_id = '${job}';
     ALTER TABLE storage.jobs ENABLE TRIGGER jobs_before_update`,
  );
  return job;
}
const rowOf = async (job: JobId) =>
  (
    await volume.catalogue.admin(
      `SELECT location, deleted_at IS NOT NULL AS deleted,
         (SELECT count(*)::int FROM storage.objects o WHERE o.job_id = j.job_id AND removed_at IS NULL) AS objects
       FROM storage.jobs j WHERE job_id = $1`,
      [job],
    )
  )[0];
const auditOfBucket = async () =>
  (await volume.catalogue.admin(
    `SELECT job_id AS job, action, phase, files::int, details->>'code' AS code FROM storage.audit
     WHERE volume = $1 ORDER BY sequence`,
    [`bucket:${bucket}`],
  )) as { job: string; action: string; phase: string; files: number | null; code: string }[];

describe("the janitor of a bucket", () => {
  it("removes the objects of an uploaded job that is out of its time, packs too, and the audit says so", async () => {
    const job = await stagedJob("uploaded", 601);
    const young = await stagedJob("uploaded", 500);
    expect(await keys()).toHaveLength(4);
    const dry = await volume.run("janitor", "--dry-run");
    expect(tidied(dry)).toMatchObject({ event: "would-tidy", expiredJobs: 1 });
    expect(await keys()).toHaveLength(4);
    const run = await volume.run("janitor");
    expect(run.code).toBe(0);
    expect(tidied(run)).toMatchObject({ event: "tidied", result: "ok", expiredJobs: 1, expiredObjects: 2 });
    expect((await keys()).every((key) => key.startsWith(jobPrefix(tenantId, young)))).toBe(true);
    expect(await rowOf(job)).toEqual({ location: "none", deleted: true, objects: 0 });
    expect(await auditOfBucket()).toEqual([
      { job, action: "expire", phase: "intent", files: null, code: "staged-expired" },
      { job, action: "expire", phase: "outcome", files: 2, code: "staged-expired" },
    ]);
    const verified = await volume.run("audit", "verify");
    expect(verified.code).toBe(0);
  });

  it("keeps the only copy of what nobody uploaded, unless the policy says otherwise", async () => {
    const job = await stagedJob("completed", 601);
    const kept = await volume.run("janitor");
    expect(tidied(kept)).toMatchObject({ expiredJobs: 0, keptUnuploadedJobs: 1 });
    expect(kept.events).toContainEqual(
      expect.objectContaining({ event: "attention", job, code: "unuploaded" }),
    );
    expect(await keys()).toHaveLength(2);
    configure({ janitor: { ...JANITOR, unuploaded: "delete" } });
    expect(tidied(await volume.run("janitor"))).toMatchObject({ expiredJobs: 1 });
    expect(await keys()).toEqual([]);
  });

  it("goes on after a kill between the intent and the outcome", async () => {
    const job = await stagedJob("uploaded", 601);
    await volume.catalogue.as("cleanup").query(
      `INSERT INTO storage.audit (volume, tenant_id, job_id, phase, action, reason, details, actor)
       VALUES ($1, 'acme', $2, 'intent', 'expire', 'before the kill', '{"code": "staged-expired"}', 'killed')`,
      [`bucket:${bucket}`, job],
    );
    expect(tidied(await volume.run("janitor"))).toMatchObject({ expiredJobs: 1, failed: 0 });
    expect((await auditOfBucket()).map(({ phase }) => phase)).toEqual(["intent", "outcome"]);
  });

  it("reaches every job past any number of rows that a login makes up", async () => {
    const job = await stagedJob("uploaded", 601);
    // More than a page of jobs that there are not, before the one that there is.
    await volume.catalogue.as("worker_acme").query(
      `INSERT INTO storage.objects (tenant_id, job_id, bucket, object_key, bytes, sha256)
       SELECT 'acme', id, $1, 'tenants/acme/jobs/' || id || '/x', 1, repeat('0', 64)
       FROM (SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid AS id
             FROM generate_series(1, 600) n) made_up`,
      [bucket],
    );
    expect(tidied(await volume.run("janitor"))).toMatchObject({ result: "ok", expiredJobs: 1 });
    expect(await rowOf(job)).toEqual({ location: "none", deleted: true, objects: 0 });
  });

  it("removes what comes to a job after it has expired, and the audit says so again", async () => {
    const job = await stagedJob("uploaded", 601);
    await volume.run("janitor");
    const late = await put(`${jobPrefix(tenantId, job)}late`);
    await volume.catalogue.as("worker_acme").query(
      `INSERT INTO storage.objects (tenant_id, job_id, bucket, object_key, bytes, sha256)
       VALUES ('acme', $1, $2, $3, 4, repeat('0', 64))`,
      [job, bucket, late],
    );
    await volume.catalogue.admin(
      `UPDATE storage.objects SET verified_at = now() - interval '601 s' WHERE object_key = $1`,
      [late],
    );
    expect(tidied(await volume.run("janitor"))).toMatchObject({ result: "ok", expiredJobs: 1 });
    expect(await keys()).toEqual([]);
    expect((await auditOfBucket()).slice(2)).toEqual([
      { job, action: "orphan", phase: "intent", files: null, code: "staged-expired" },
      { job, action: "orphan", phase: "outcome", files: 1, code: "staged-expired" },
    ]);
  });

  it("removes what no row is about once its grace is over, and leaves everything else", async () => {
    const tiered = await stagedJob("uploaded", 0);
    const active = await volume.addJob({ state: "active" });
    const nobodys = newJobId();
    const orphan = await put(`${jobPrefix(tenantId, nobodys)}source.mp4`);
    const extra = await put(`${jobPrefix(tenantId, tiered)}left-over.mp4`);
    const pending = await put(`${jobPrefix(tenantId, active)}source.mp4`);
    const foreign = await put("tenants/acme/readme.txt");
    const elsewhere = await put("probe/x");
    configure({ retention: { ...RETENTION, orphanedSeconds: 3600 } });
    expect(tidied(await volume.run("janitor"))).toMatchObject({ orphanedObjects: 0, foreignObjects: 1 });
    configure({});
    await sleep(1100);
    const run = await volume.run("janitor");
    expect(run.code).toBe(0);
    expect(tidied(run)).toMatchObject({ orphanedObjects: 2, orphanedBytes: 8, listedObjects: 6, doubted: 0 });
    const left = await keys();
    expect(left).toEqual(expect.arrayContaining([pending, foreign, elsewhere]));
    expect(left).not.toContain(orphan);
    expect(left).not.toContain(extra);
    expect(left.filter((key) => key.startsWith(jobPrefix(tenantId, tiered)))).toHaveLength(2);
    expect(
      (await auditOfBucket()).map(({ job, action, phase }) => `${job} ${action} ${phase}`).sort(),
    ).toEqual([tiered, nobodys].flatMap((job) => [`${job} orphan intent`, `${job} orphan outcome`]).sort());
    // A tenant's worker can make more of them: they go too.
    await put(orphan);
    await sleep(1100);
    expect(tidied(await volume.run("janitor"))).toMatchObject({ orphanedObjects: 1, failed: 0 });
  });

  it("doubts a catalogue that knows no job, or to which too many objects are nobody's", async () => {
    for (let i = 0; i < 4; i++) await put(`${jobPrefix(tenantId, newJobId())}source.mp4`);
    await sleep(1100);
    const empty = await volume.run("janitor");
    expect(empty.code).toBe(1);
    expect(tidied(empty)).toMatchObject({ doubted: 1, orphanedObjects: 0 });
    await volume.addJob({ state: "active" });
    configure({ janitor: { ...JANITOR, doubtAboveObjects: 3, doubtAbovePercent: 50 } });
    const many = await volume.run("janitor");
    expect(tidied(many)).toMatchObject({ doubted: 1, orphanedObjects: 0 });
    expect(many.events).toContainEqual(
      expect.objectContaining({
        code: "catalogue-doubted",
        reason: expect.stringContaining("more than 3 and more than 50%") as string,
      }),
    );
    expect(await keys()).toHaveLength(4);
    configure({ janitor: { ...JANITOR, doubtAboveObjects: 4 } });
    expect(tidied(await volume.run("janitor"))).toMatchObject({ orphanedObjects: 4 });
  });

  it("ends uploads that nobody finished, and no young ones", async () => {
    const Key = `${jobPrefix(tenantId, newJobId())}source.mp4`;
    await s3.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }));
    const uploads = async () =>
      (await s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads ?? [];
    configure({ janitor: { ...JANITOR, unfinishedUploadSeconds: 3600 } });
    expect(tidied(await volume.run("janitor"))).toMatchObject({ abortedUploads: 0 });
    expect(await uploads()).toHaveLength(1);
    configure({});
    // The server tells its time in whole seconds, so within its second an upload isn't old yet.
    await sleep(1100);
    expect(tidied(await volume.run("janitor"))).toMatchObject({ abortedUploads: 1 });
    expect(await uploads()).toEqual([]);
  });

  it("leaves old versions to the endpoint's own rule for a day", async () => {
    await s3.send(
      new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: "Enabled" } }),
    );
    const Key = `${jobPrefix(tenantId, newJobId())}source.mp4`;
    await put(Key, "one");
    await put(Key, "two");
    expect(tidied(await volume.run("janitor"))).toMatchObject({ removedVersions: 0 });
    const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    expect(Versions).toHaveLength(2);
  });

  it("comes once in its period, with whichever sweep is first", async () => {
    configure({ janitor: { ...JANITOR, periodSeconds: 3600 } });
    const runs = await Promise.all([1, 2, 3].map(() => volume.run("sweep")));
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(runs.flatMap(({ events }) => events.filter(({ event }) => event === "tidied"))).toHaveLength(1);
    const again = await volume.run("janitor");
    expect(tidied(again)).toMatchObject({ event: "not-due" });
    expect(tidied(await volume.run("janitor", "--now"))).toMatchObject({ event: "tidied" });
  });

  it("removes nothing while the catalogue is away, and says that the object storage is", async () => {
    configure({
      objectStorage: { endpoint: "http://127.0.0.1:1", region: "us-east-1", bucket, forcePathStyle: true },
    });
    const away = await volume.run("janitor");
    expect(away.code).toBe(1);
    expect(tidied(away)).toMatchObject({ event: "tidied", result: "partial", expiredJobs: 0 });
    configure({});
    const Key = await put(`${jobPrefix(tenantId, newJobId())}source.mp4`);
    await world.postgres.interrupt();
    try {
      expect((await volume.run("janitor")).code).toBe(3);
      expect(await keys()).toEqual([Key]);
    } finally {
      await world.postgres.resume();
    }
  });
});
