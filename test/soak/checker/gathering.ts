import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import { lstat, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import { METADATA_FILE } from "@video-storage/contract/layout";
import pg from "pg";

import type {
  Attempt,
  AuditRow,
  BucketObject,
  CatalogueEvidence,
  DiskEvidence,
  Entry,
  JobRow,
  ObjectRow,
  RecordOnDisk,
  SweepRow,
  Volume,
} from "./evidence.js";

const JOB_NAME = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads all of a volume: every entry, every byte of every file, every job's record. */
export async function readDisk(volume: Volume): Promise<DiskEvidence> {
  const entries: Entry[] = [];
  const records = new Map<string, RecordOnDisk>();
  const walk = async (path: string): Promise<void> => {
    const here = join(volume.path, path);
    const stat = await lstat(here);
    const kind = kindOf(stat);
    const content = kind === "file" ? await readFile(here) : undefined;
    entries.push({
      path,
      kind,
      uid: stat.uid,
      gid: stat.gid,
      mode: stat.mode & 0o7777,
      names: stat.nlink,
      bytes: stat.size,
      changedAt: stat.ctimeMs,
      ...(content && { sha256: sha256Of(content) }),
    });
    const [jobId, name, ...deeper] = path.split("/");
    if (content && JOB_NAME.test(jobId!) && name === METADATA_FILE && deeper.length === 0) {
      const record = parsed(content.toString());
      if (record) records.set(jobId!, record);
    }
    if (kind !== "directory") return;
    for (const child of (await readdir(here)).sort()) await walk(path === "." ? child : `${path}/${child}`);
  };
  await walk(".");
  return { volume, entries, records };
}

function kindOf(stat: Stats): Entry["kind"] {
  if (stat.isSymbolicLink()) return "link";
  return stat.isFile() ? "file" : stat.isDirectory() ? "directory" : "other";
}

function parsed(text: string): RecordOnDisk | undefined {
  try {
    return JSON.parse(text) as RecordOnDisk;
  } catch {
    return undefined;
  }
}

/** Lower-case hexadecimal. */
export function sha256Of(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Reads every object that is there, all of it. The client may read everything. */
export async function readBucket(client: S3Client, bucket: string): Promise<BucketObject[]> {
  const objects: BucketObject[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token }));
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
      const content = await Body!.transformToByteArray();
      objects.push({
        key: Key!,
        bytes: Size!,
        writtenAt: LastModified!.getTime(),
        sha256: sha256Of(content),
        ...(/\/\.pack-[^/]*$/.test(Key!) && { content }),
      });
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return objects;
}

/** Reads the whole catalogue at one moment. The URL's login may see every row. */
export async function readCatalogue(url: string): Promise<CatalogueEvidence> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("begin isolation level repeatable read read only");
    const rows = async <T>(statement: string): Promise<T[]> => (await client.query(statement)).rows as T[];
    const [{ now }] = (await rows<{ now: number }>(`select ${at("clock_timestamp()")} as now`)) as [
      { now: number },
    ];
    return {
      now,
      jobs: await rows<JobRow>(
        `select tenant_id as "tenantId", job_id as "jobId", state, volume, location,
           ${at("created_at")} as "createdAt", ${at("state_changed_at")} as "stateChangedAt",
           ${at("heartbeat_at")} as "heartbeatAt", ${at("last_access_at")} as "lastAccessAt",
           ${at("deleted_at")} as "deletedAt" from storage.jobs order by job_id`,
      ),
      objects: await rows<ObjectRow>(
        `select tenant_id as "tenantId", job_id as "jobId", bucket, object_key as key, bytes::float8, sha256,
           pack_key as "packKey", pack_offset::float8 as "packOffset", ${at("verified_at")} as "verifiedAt",
           ${at("removed_at")} as "removedAt" from storage.objects order by object_key`,
      ),
      audit: await rows<AuditRow>(
        `select volume, sequence::float8, tenant_id as "tenantId", job_id as "jobId", phase, action, reason, details,
           bytes::float8, files::float8, actor, login, ${at("recorded_at")} as "recordedAt", payload,
           encode(previous_hash, 'hex') as "previousHash", encode(hash, 'hex') as hash
         from storage.audit order by volume, sequence`,
      ),
      sweeps: await rows<SweepRow>(
        `select volume, ${at("started_at")} as "startedAt", ${at("finished_at")} as "finishedAt", result
         from storage.sweeps where finished_at is not null order by started_at`,
      ),
    };
  } finally {
    await client.end();
  }
}

function at(column: string): string {
  return `(extract(epoch from ${column}) * 1000)::float8`;
}

/** What a tenant's workers hold: a login of the catalogue and a key of the bucket. */
export interface TenantAccess {
  readonly tenant: string;
  readonly catalogueUrl: string;
  readonly s3: S3Client;
}

/**
 * Tries with each tenant's own credentials to reach what is another's: rows, keys, listings. What it writes, where
 * it may, it writes under the tenant's own prefix and removes with the client that may do everything.
 */
export async function tryReach(
  tenants: readonly TenantAccess[],
  bucket: string,
  administrator: S3Client,
  objects: readonly Pick<BucketObject, "key">[],
): Promise<Attempt[]> {
  const attempts: Attempt[] = [];
  for (const { tenant, catalogueUrl, s3 } of tenants) {
    const attempt = async (what: string, own: boolean, work: () => Promise<boolean>): Promise<void> => {
      attempts.push({ tenant, what, own, allowed: await work() });
    };
    const accepted = (work: Promise<unknown>): Promise<boolean> =>
      work.then(
        () => true,
        (error: { name?: string; $metadata?: { httpStatusCode?: number } }) => {
          if (error.$metadata?.httpStatusCode === 403) return false;
          throw error;
        },
      );
    const list = (prefix: string): Promise<boolean> =>
      accepted(s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix })));
    await attempt("list its own prefix", true, () => list(`tenants/${tenant}/`));
    await attempt("list the whole bucket", false, () => list(""));
    const probe = `tenants/${tenant}/probe-of-the-checker`;
    await attempt(`write ${probe}`, true, () =>
      accepted(s3.send(new PutObjectCommand({ Bucket: bucket, Key: probe, Body: "x" }))),
    );
    await administrator.send(new DeleteObjectCommand({ Bucket: bucket, Key: probe }));
    for (const { tenant: other } of tenants) {
      if (other === tenant) continue;
      const prefix = `tenants/${other}/`;
      await attempt(`list ${prefix}`, false, () => list(prefix));
      for (const { key } of objects.filter((object) => object.key.startsWith(prefix)).slice(0, 5))
        await attempt(`read ${key}`, false, () =>
          accepted(s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))),
        );
      const foreign = `${prefix}probe-of-the-checker`;
      await attempt(`write ${foreign}`, false, () =>
        accepted(s3.send(new PutObjectCommand({ Bucket: bucket, Key: foreign, Body: "x" }))),
      );
      await administrator.send(new DeleteObjectCommand({ Bucket: bucket, Key: foreign }));
    }
    const client = new pg.Client({ connectionString: catalogueUrl });
    await client.connect();
    try {
      const count = async (statement: string): Promise<number> =>
        Number((await client.query<{ count: string }>(statement, [tenant])).rows[0]!.count);
      for (const table of ["jobs", "objects", "scans"])
        await attempt(`see others' rows of storage.${table}`, false, async () => {
          return (await count(`select count(*) from storage.${table} where tenant_id <> $1`)) > 0;
        });
      await attempt("ask for its own rows of storage.jobs", true, async () => {
        return (await count("select count(*) from storage.jobs where tenant_id = $1")) >= 0;
      });
    } finally {
      await client.end();
    }
  }
  return attempts;
}
