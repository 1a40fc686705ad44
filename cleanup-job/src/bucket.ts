import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import type { ObjectStorageSettingsInput } from "@video-storage/contract/schemas";
import { objectStorageClient } from "@video-storage/worker/object-storage";
import type { ObjectStorageCredentials } from "@video-storage/worker/object-storage";

/** Everything of tenants lies below this; nothing else in the bucket is looked at. */
const PREFIX = "tenants/";

/** Ages are by the server's own clock: the difference to the one here must not make an object old. */
export interface Aged {
  readonly key: string;
  readonly ageSeconds: number;
}

export interface BucketObject extends Aged {
  readonly bytes: number;
}

export interface UnfinishedUpload extends Aged {
  readonly uploadId: string;
}

export interface OldVersion extends Aged {
  readonly versionId: string;
  readonly bytes: number;
}

/** A bucket as its janitor sees it. */
export interface Bucket {
  readonly name: string;
  /** In pages of up to 1,000. */
  objects(): AsyncGenerator<BucketObject[], void, undefined>;
  unfinishedUploads(): AsyncGenerator<UnfinishedUpload[], void, undefined>;
  /** What is no longer the newest of its key; its age is since a newer one came. */
  oldVersions(): AsyncGenerator<OldVersion[], void, undefined>;
  /** Safe to repeat: what isn't there is removed. */
  remove(key: string, versionId?: string): Promise<void>;
  abort(upload: UnfinishedUpload): Promise<void>;
  close(): void;
}

export function openBucket(
  settings: ObjectStorageSettingsInput,
  credentials: ObjectStorageCredentials | undefined,
): Bucket {
  const client = objectStorageClient(settings, credentials);
  const clock = serverClock(client);
  const { bucket: Bucket } = settings;
  return {
    name: Bucket,
    async *objects() {
      let ContinuationToken: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket,
            Prefix: PREFIX,
            ...(ContinuationToken && { ContinuationToken }),
          }),
        );
        yield (page.Contents ?? []).map(({ Key, Size, LastModified }) => {
          return { key: Key!, bytes: Size ?? 0, ageSeconds: clock.ageOf(LastModified) };
        });
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
    },
    async *unfinishedUploads() {
      let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
      while (marker) {
        // Without the prefix: MinIO takes one for the whole key of an object.
        const page: Awaited<ReturnType<typeof listUploads>> = await listUploads(client, Bucket, marker);
        yield (page.Uploads ?? [])
          .filter(({ Key }) => Key?.startsWith(PREFIX))
          .map(({ Key, UploadId, Initiated }) => {
            return { key: Key!, uploadId: UploadId!, ageSeconds: clock.ageOf(Initiated) };
          });
        marker = page.IsTruncated
          ? { KeyMarker: page.NextKeyMarker!, UploadIdMarker: page.NextUploadIdMarker! }
          : undefined;
      }
    },
    async *oldVersions() {
      let marker: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
      let newer: { key: string; at: Date | undefined } | undefined;
      while (marker) {
        const page: Awaited<ReturnType<typeof listVersions>> = await listVersions(client, Bucket, marker);
        const entries = [
          ...(page.Versions ?? []).map((version) => ({ ...version, bytes: version.Size ?? 0 })),
          ...(page.DeleteMarkers ?? []).map((version) => ({ ...version, bytes: 0 })),
        ].sort(newestOfEachKeyFirst);
        const old: OldVersion[] = [];
        for (const { Key, VersionId, IsLatest, LastModified, bytes } of entries) {
          const since = newer?.key === Key ? newer?.at : undefined;
          // At the start of a page the newer one may have been on the page before: then its own time counts.
          if (!IsLatest) {
            old.push({
              key: Key!,
              versionId: VersionId!,
              bytes,
              ageSeconds: clock.ageOf(since ?? LastModified),
            });
          }
          newer = { key: Key!, at: LastModified };
        }
        yield old;
        marker = page.IsTruncated
          ? { KeyMarker: page.NextKeyMarker!, VersionIdMarker: page.NextVersionIdMarker! }
          : undefined;
      }
    },
    async remove(Key, VersionId) {
      await client.send(
        new DeleteObjectCommand({ Bucket, Key, ...(VersionId !== undefined && { VersionId }) }),
      );
    },
    async abort({ key, uploadId }) {
      await client
        .send(new AbortMultipartUploadCommand({ Bucket, Key: key, UploadId: uploadId }))
        .catch((error: Error) => {
          if (error.name !== "NoSuchUpload") throw error;
        });
    },
    close: () => client.destroy(),
  };
}

function listUploads(
  client: S3Client,
  Bucket: string,
  marker: { KeyMarker?: string; UploadIdMarker?: string },
) {
  return client.send(new ListMultipartUploadsCommand({ Bucket, ...marker }));
}

function listVersions(
  client: S3Client,
  Bucket: string,
  marker: { KeyMarker?: string; VersionIdMarker?: string },
) {
  return client.send(new ListObjectVersionsCommand({ Bucket, Prefix: PREFIX, ...marker }));
}

interface Entry {
  readonly Key?: string | undefined;
  readonly IsLatest?: boolean | undefined;
  readonly LastModified?: Date | undefined;
}

function newestOfEachKeyFirst(a: Entry, b: Entry): number {
  if (a.Key !== b.Key) return a.Key! < b.Key! ? -1 : 1;
  if (a.IsLatest !== b.IsLatest) return a.IsLatest ? -1 : 1;
  return (b.LastModified?.getTime() ?? 0) - (a.LastModified?.getTime() ?? 0);
}

/** What the server's answers say the time is. */
function serverClock(client: S3Client): { ageOf(at: Date | undefined): number } {
  let ahead = 0;
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const date = (result.response as { headers?: Record<string, string> } | undefined)?.headers?.["date"];
      const at = date === undefined ? NaN : Date.parse(date);
      if (!Number.isNaN(at)) ahead = at - Date.now();
      return result;
    },
    { step: "deserialize", priority: "high", name: "serverClock" },
  );
  // What has no time is new: whatever isn't known keeps it.
  return { ageOf: (at) => (at ? (Date.now() + ahead - at.getTime()) / 1000 : 0) };
}
