import {
  chainOfBucket,
  claimUpkeep,
  finishUpkeep,
  jobsStillLocal,
  knownKeys,
  knowsAnyJob,
  recordExpiry,
  stagedJob,
  stagedJobsInPages,
  stagedObjectsInPages,
} from "@video-storage/catalogue/bucket-upkeep";
import type { StagedJob } from "@video-storage/catalogue/bucket-upkeep";
import { CatalogueBusyError, CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { recordIntent, recordOutcome } from "@video-storage/catalogue/sweeping";
import type { Intent } from "@video-storage/catalogue/sweeping";
import { retentionOf } from "@video-storage/contract/cleanup-config";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { formatDuration } from "@video-storage/contract/durations";
import { isJobId, isTenantId } from "@video-storage/contract/identity";
import type { JobIdentity } from "@video-storage/contract/identity";
import type { ObjectStorageDuties } from "@video-storage/contract/object-storage-capabilities";
import { jobPrefix } from "@video-storage/contract/layout";
import type { Bucket, BucketObject } from "./bucket.js";
import { forEachConcurrently } from "./concurrency.js";
import { shownName } from "./deletion/handles.js";
import type { Reporter } from "./report.js";

/** What the janitor of one bucket works with. */
export interface JanitorContext {
  readonly catalogue: Catalogue;
  readonly bucketName: string;
  /** Called when it is this caller's turn, which it seldom is. */
  readonly open: () => Promise<Bucket>;
  readonly config: Pick<CleanupConfig, "retention" | "tenantRetention" | "janitor">;
  readonly duties: ObjectStorageDuties;
  readonly actor: string;
  readonly report: Reporter;
  readonly stop: AbortSignal;
}

interface Work extends JanitorContext {
  readonly bucket: Bucket;
}

/** What a run came to; metrics are made of this. */
export interface JanitorSummary {
  readonly result: "ok" | "partial" | "interrupted" | "not-due";
  readonly listedObjects: number;
  readonly listedBytes: number;
  readonly expiredJobs: number;
  readonly expiredObjects: number;
  readonly expiredBytes: number;
  /** Out of their time, and the only copy of what nobody uploaded. */
  readonly keptUnuploadedJobs: number;
  readonly orphanedObjects: number;
  readonly orphanedBytes: number;
  /** 1 when there were so many orphans that the catalogue was doubted, and none was removed. */
  readonly doubted: number;
  readonly foreignObjects: number;
  readonly abortedUploads: number;
  readonly removedVersions: number;
  readonly failed: number;
}

export interface JanitorOptions {
  readonly dryRun?: boolean;
  /** Whatever the period says. */
  readonly now?: boolean;
}

const NONE = {
  ...{ listedObjects: 0, listedBytes: 0, expiredJobs: 0, expiredObjects: 0, expiredBytes: 0 },
  ...{ keptUnuploadedJobs: 0, orphanedObjects: 0, orphanedBytes: 0, doubted: 0, foreignObjects: 0 },
  ...{ abortedUploads: 0, removedVersions: 0, failed: 0 },
};
type Counts = { -readonly [K in keyof typeof NONE]: number };

/** Kept in memory until the listing has ended; the rest is found by the next run. */
const MAXIMUM_ORPHANS = 10_000;
const REMOVALS_AT_ONCE = 8;
const SHOWN = 20;
/** As the bucket's own rule, where the endpoint keeps that. */
const OLD_VERSION_SECONDS = 86_400;

/**
 * Looks after a bucket, once in its period, whoever comes first: removes the objects of jobs that are out of their
 * time, objects that no row of the catalogue is about, and uploads that nobody finished. Of what it removes the audit
 * has an intent before and an outcome after; what it can't tell it keeps.
 *
 * Throws CatalogueUnavailableError: then nothing is removed from that moment on.
 */
export async function janitor(
  context: JanitorContext,
  options: JanitorOptions = {},
): Promise<JanitorSummary> {
  const { catalogue, bucketName, config, actor } = context;
  const { dryRun = false, now = false } = options;
  const period = now ? 0 : config.janitor.periodSeconds;
  if (!dryRun && !(await claimUpkeep(catalogue, bucketName, actor, period))) {
    return { result: "not-due", ...NONE };
  }
  const bucket = await context.open();
  try {
    return await lookAfter({ ...context, bucket }, dryRun);
  } finally {
    bucket.close();
  }
}

async function lookAfter(context: Work, dryRun: boolean): Promise<JanitorSummary> {
  const { catalogue, bucket, report, stop } = context;
  const counts: Counts = { ...NONE };
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      if (!stop.aborted) await work();
    } catch (error) {
      if (error instanceof CatalogueUnavailableError && !(error instanceof CatalogueBusyError)) throw error;
      counts.failed++;
      const reason = `couldn't ${what}: ${(error as Error).name}: ${(error as Error).message}`;
      report({ event: "failed", level: "error", bucket: bucket.name, reason });
    }
  };
  await attempt("end unfinished uploads", () => endUploads(context, counts, dryRun));
  await attempt("remove expired objects", () => expire(context, counts, dryRun));
  await attempt("remove orphaned objects", () => removeOrphans(context, counts, dryRun));
  if (context.duties.removeNoncurrentVersions) {
    await attempt("remove old versions", () => removeOldVersions(context, counts, dryRun));
  }
  const failed = counts.failed > 0;
  const result = stop.aborted ? "interrupted" : failed ? "partial" : "ok";
  const summary: JanitorSummary = { result, ...counts };
  if (!dryRun) await finishUpkeep(catalogue, bucket.name, { ...summary }, failed || stop.aborted);
  report({ event: dryRun ? "would-tidy" : "tidied", bucket: bucket.name, ...summary });
  return summary;
}

async function endUploads({ bucket, config, report, stop }: Work, counts: Counts, dryRun: boolean) {
  for await (const page of bucket.unfinishedUploads()) {
    for (const upload of page) {
      if (stop.aborted) return;
      if (upload.ageSeconds < config.janitor.unfinishedUploadSeconds) continue;
      if (!dryRun) await bucket.abort(upload);
      if (++counts.abortedUploads > SHOWN) continue;
      const reason = `an upload was begun ${shown(upload.ageSeconds)} ago and never finished`;
      report({ event: dryRun ? "would" : "aborted", key: shownName(upload.key), reason });
    }
  }
}

/** Whether a job's objects may go, and why or why not. */
export function expiryOf(
  job: StagedJob,
  config: JanitorContext["config"],
): { readonly due: boolean; readonly code: string; readonly reason: string } {
  const { stagedSeconds } = retentionOf(config, job.tenantId);
  const { idleSeconds: idle, state } = job;
  const keep = (code: string, reason: string) => ({ due: false, code, reason });
  if (state === "active") return keep("active", "it is active");
  if (idle < 0) return keep("future-timestamp", `its last change lies ${shown(-idle)} in the future`);
  if (idle < stagedSeconds)
    return keep("staged-young", `unused for ${shown(idle)} of ${shown(stagedSeconds)}`);
  const since = `in object storage, ${state} and unused for ${shown(idle)}, allowed are ${shown(stagedSeconds)}`;
  if (state === "handed-over" && job.continuationEnded === false) {
    return keep("continued", `${since}, but the job that goes on with it is active`);
  }
  const onlyCopy =
    job.location === "object" &&
    (state === "completed" || (state === "handed-over" && job.continuationEnded === null));
  if (onlyCopy && config.janitor.unuploaded === "keep") {
    return keep("unuploaded", `${since}, but nobody uploaded it and this is the only copy`);
  }
  return { due: true, code: "staged-expired", reason: since };
}

async function expire(context: Work, counts: Counts, dryRun: boolean): Promise<void> {
  const { catalogue, bucket, config, report, stop } = context;
  for await (const page of stagedJobsInPages(catalogue, bucket.name)) {
    for (const job of page) {
      if (stop.aborted) return;
      const { due, code, reason } = expiryOf(job, config);
      if (code === "unuploaded" && ++counts.keptUnuploadedJobs <= SHOWN) {
        report({ event: "attention", level: "warning", job: job.jobId, tenant: job.tenantId, code, reason });
      }
      if (!due) continue;
      if (dryRun)
        report({ event: "would", job: job.jobId, tenant: job.tenantId, action: "expire", code, reason });
      else if (!(await guarded(context, counts, job, () => expireJob(context, job, code, reason)))) continue;
      counts.expiredJobs++;
      counts.expiredObjects += job.objects;
      counts.expiredBytes += job.bytes;
    }
  }
}

async function expireJob(context: Work, job: StagedJob, code: string, reason: string): Promise<boolean> {
  const { catalogue, bucket, config, report } = context;
  let intent = intentOf(context, job, "expire", reason, {
    code,
    objects: job.objects,
    objectBytes: job.bytes,
  });
  if (!(await recordIntent(catalogue, intent))) {
    // Its objects expired before, here or in another bucket: what has come since is no job's, and is said each time.
    intent = { ...intent, action: "orphan" };
    await recordIntent(catalogue, intent);
  }
  // Once more, with what is true now: it may have been opened or gone on with meanwhile.
  const again = await stagedJob(catalogue, bucket.name, job);
  if (!again || !expiryOf(again, config).due) return false;
  let bytes = 0;
  let files = 0;
  for await (const page of stagedObjectsInPages(catalogue, bucket.name, job)) {
    await removeAll(
      context,
      page.map(({ objectKey }) => objectKey),
    );
    files += page.length;
    bytes += page.reduce((sum, object) => sum + object.bytes, 0);
  }
  await recordExpiry(catalogue, { ...intent, tenantId: job.tenantId, bytes, files }, bucket.name);
  report({ event: "expired", job: job.jobId, tenant: job.tenantId, reason, bytes, files });
  return true;
}

interface Orphan extends JobIdentity, BucketObject {}

async function removeOrphans(context: Work, counts: Counts, dryRun: boolean): Promise<void> {
  const { catalogue, bucket, config, report, stop } = context;
  const orphans: Orphan[] = [];
  let more = 0;
  for await (const page of bucket.objects()) {
    if (stop.aborted) return;
    counts.listedObjects += page.length;
    counts.listedBytes += page.reduce((sum, { bytes }) => sum + bytes, 0);
    const parsed = page.map((object) => identityOf(object));
    const ours = parsed.filter((object): object is Orphan => "jobId" in object);
    for (const object of parsed) {
      if ("jobId" in object || ++counts.foreignObjects > SHOWN) continue;
      const reason = "it is no job's key, so it is left alone";
      report({ event: "foreign", level: "warning", key: shownName(object.key), reason });
    }
    if (ours.length === 0) continue;
    const known = await knownKeys(catalogue, bucket.name, ours);
    const old = ours.filter((object) => {
      return (
        !known.has(object.key) && object.ageSeconds >= retentionOf(config, object.tenantId).orphanedSeconds
      );
    });
    const local = await jobsStillLocal(catalogue, [...new Set(old.map(({ jobId }) => jobId))]);
    for (const object of old) {
      if (local.has(object.jobId)) continue;
      if (orphans.length < MAXIMUM_ORPHANS) orphans.push(object);
      else more++;
    }
  }
  if (orphans.length === 0) return;
  const doubt = doubtOf(orphans.length + more, counts.listedObjects, await knowsAnyJob(catalogue), config);
  if (doubt !== undefined) {
    counts.doubted = 1;
    counts.failed++;
    report({
      event: "attention",
      level: "error",
      code: "catalogue-doubted",
      bucket: bucket.name,
      reason: doubt,
    });
    return;
  }
  for (const objects of byJob(orphans)) {
    if (stop.aborted) return;
    const done =
      dryRun || (await guarded(context, counts, objects[0]!, () => removeOrphansOf(context, objects)));
    if (!done) continue;
    if (dryRun) {
      const { jobId, tenantId } = objects[0]!;
      report({ event: "would", job: jobId, tenant: tenantId, action: "orphan", count: objects.length });
    }
    counts.orphanedObjects += objects.length;
    counts.orphanedBytes += objects.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

function byJob(orphans: readonly Orphan[]): Iterable<Orphan[]> {
  const groups = new Map<string, Orphan[]>();
  for (const orphan of orphans) {
    const group = `${orphan.tenantId} ${orphan.jobId}`;
    groups.set(group, [...(groups.get(group) ?? []), orphan]);
  }
  return groups.values();
}

/** Why it is likelier that the catalogue has forgotten than that so many objects are nobody's. */
export function doubtOf(
  orphans: number,
  listed: number,
  knowsJobs: boolean,
  { janitor: { doubtAboveObjects, doubtAbovePercent } }: Pick<CleanupConfig, "janitor">,
): string | undefined {
  const these = `${orphans} of ${listed} objects seem to be nobody's`;
  const advice = "nothing of them is removed: is this the right catalogue, and is it whole?";
  if (!knowsJobs) return `${these}, and the catalogue knows no job at all; ${advice}`;
  const percent = (100 * orphans) / Math.max(listed, 1);
  if (orphans <= doubtAboveObjects || percent <= doubtAbovePercent) return undefined;
  return `${these}, which is more than ${doubtAboveObjects} and more than ${doubtAbovePercent}%; ${advice}`;
}

async function removeOrphansOf(context: Work, objects: readonly Orphan[]): Promise<boolean> {
  const { catalogue, report } = context;
  const { tenantId, jobId } = objects[0]!;
  const { orphanedSeconds } = retentionOf(context.config, tenantId);
  const reason = `no row of the catalogue is about it, for ${shown(orphanedSeconds)} or longer`;
  const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
  const prefix = jobPrefix(tenantId, jobId).length;
  const names = objects.slice(0, SHOWN).map(({ key }) => shownName(key.slice(prefix)));
  const details = { code: "orphaned", objects: objects.length, objectBytes: bytes, names };
  const intent = intentOf(context, { tenantId, jobId }, "orphan", reason, details);
  await recordIntent(catalogue, intent);
  await removeAll(
    context,
    objects.map(({ key }) => key),
  );
  await recordOutcome(catalogue, { ...intent, bytes, files: objects.length });
  report({ event: "orphans", job: jobId, tenant: tenantId, reason, bytes, files: objects.length });
  return true;
}

async function removeOldVersions({ bucket, report, stop }: Work, counts: Counts, dryRun: boolean) {
  try {
    for await (const page of bucket.oldVersions()) {
      for (const { key, versionId, ageSeconds } of page) {
        if (stop.aborted) return;
        if (ageSeconds < OLD_VERSION_SECONDS) continue;
        if (!dryRun) await bucket.remove(key, versionId);
        counts.removedVersions++;
      }
    }
  } catch (error) {
    // The role has this permission only where the endpoint doesn't do it by itself.
    if (!["AccessDenied", "NotImplemented"].includes((error as Error).name)) throw error;
    const reason = "old versions can't be listed or removed here: the bucket's own rules have to do it";
    report({ event: "attention", level: "warning", code: "no-versions", bucket: bucket.name, reason });
  }
}

async function removeAll({ bucket }: Work, keys: readonly string[]): Promise<void> {
  const each = async function* () {
    yield* keys;
  };
  // Once the intent is recorded it is finished: a stop comes between jobs.
  const never = new AbortController().signal;
  await forEachConcurrently(each(), REMOVALS_AT_ONCE, never, (key) => bucket.remove(key));
}

async function guarded(
  { report }: Work,
  counts: Counts,
  { jobId, tenantId }: JobIdentity,
  work: () => Promise<boolean>,
): Promise<boolean> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CatalogueUnavailableError && !(error instanceof CatalogueBusyError)) throw error;
    counts.failed++;
    report({
      event: "failed",
      level: "error",
      job: jobId,
      tenant: tenantId,
      reason: (error as Error).message,
    });
    return false;
  }
}

function intentOf(
  { bucket, actor }: Work,
  { tenantId, jobId }: JobIdentity,
  action: "expire" | "orphan",
  reason: string,
  details: Intent["details"] & object,
): Intent {
  return { volume: chainOfBucket(bucket.name), tenantId, jobId, action, reason, actor, details };
}

function identityOf(object: BucketObject): Orphan | BucketObject {
  const [, tenantId, jobId] = /^tenants\/([^/]+)\/jobs\/([^/]+)\/./.exec(object.key) ?? [];
  return isTenantId(tenantId) && isJobId(jobId) ? { ...object, tenantId, jobId } : object;
}

function shown(seconds: number): string {
  return formatDuration(Math.floor(seconds));
}
