import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DeleteObjectCommand, ListObjectsV2Command, ListObjectVersionsCommand } from "@aws-sdk/client-s3";
import {
  OBJECT_STORAGE_CAPABILITIES,
  PROBE_PREFIX,
} from "@video-storage/contract/object-storage-capabilities";
import type {
  ObjectStorageCapabilities,
  ObjectStorageCapability,
} from "@video-storage/contract/object-storage-capabilities";
import { objectStorageClient } from "@video-storage/worker/object-storage";
import type { ObjectStorageCredentials } from "@video-storage/worker/object-storage";
import { errorText, seen, statusOf } from "./attempt.js";
import type { Place, Seen } from "./attempt.js";
import { applyLifecycle, readLifecycle } from "./lifecycle.js";
import * as objects from "./objects.js";
import type { ProbeSettings } from "./settings.js";
import { noPublicAccess, tlsOnly } from "./transport.js";

/** The bucket can't be probed at all: away, not there, or not for these credentials. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

export interface ProbeOptions {
  /** Undefined where the pod's own identity counts. */
  readonly credentials?: ObjectStorageCredentials | undefined;
  /** Told what is being tried. */
  readonly onProgress?: (what: string) => void;
  readonly signal?: AbortSignal;
}

const AGAIN_AFTER = 1000;

/**
 * Tries everything that the stack relies on, on the real bucket and below a prefix of the probe's own, and leaves
 * nothing of it there. Changes the bucket's lifecycle rules to the declared ones where the settings say `apply`.
 * Throws {@link UnreachableError}.
 */
export async function probe(
  settings: ProbeSettings,
  { credentials, onProgress = () => undefined, signal }: ProbeOptions = {},
): Promise<ObjectStorageCapabilities> {
  const { objectStorage, lifecycle } = settings;
  const client = objectStorageClient(objectStorage, credentials);
  const place: Place = { client, bucket: objectStorage.bucket, prefix: `${PROBE_PREFIX}${randomUUID()}/` };
  try {
    onProgress("reaching the bucket");
    await reached(place, settings.patienceSeconds, signal);
    const checks: Record<ObjectStorageCapability, () => Promise<Seen>> = {
      "tls-only": () => tlsOnly(objectStorage, credentials, place),
      "no-public-access": () => noPublicAccess(objectStorage, place),
      encryption: () => objects.encryption(place, settings.encryption),
      versioning: () => objects.versioning(place),
      "conditional-writes": () => objects.conditionalWrites(place),
      "checksum-sha256": () => objects.checksumSha256(place),
      "checksum-crc32c": () => objects.checksumCrc32c(place),
      multipart: () => objects.multipart(place),
      "list-unfinished-uploads": () => objects.listUnfinishedUploads(place),
      tags: () => objects.tags(place),
    };
    const capabilities = {} as ObjectStorageCapabilities["capabilities"];
    try {
      for (const name of OBJECT_STORAGE_CAPABILITIES) {
        signal?.throwIfAborted();
        onProgress(`trying ${name}`);
        const required = settings.required.capabilities.includes(name);
        capabilities[name] = { ...(await seen(checks[name])), required };
      }
    } finally {
      onProgress("removing what was tried");
      await removeAll(place);
    }
    onProgress(`${lifecycle.mode === "apply" ? "putting" : "reading"} the lifecycle rules`);
    const rules = await (lifecycle.mode === "apply" ? applyLifecycle : readLifecycle)(
      client,
      objectStorage.bucket,
      lifecycle.rules,
    );
    return {
      version: 1,
      probedAt: new Date().toISOString(),
      endpoint: objectStorage.endpoint,
      bucket: objectStorage.bucket,
      capabilities,
      lifecycle: rules,
    };
  } finally {
    client.destroy();
  }
}

/** Every requirement that isn't met, as a sentence. */
export function unmetRequirements(
  settings: Pick<ProbeSettings, "required">,
  found: ObjectStorageCapabilities,
): string[] {
  return [
    ...settings.required.capabilities
      .filter((name) => !found.capabilities[name].held)
      .map((name) => `${name}: ${found.capabilities[name].detail}`),
    ...settings.required.rules
      .filter((name) => found.lifecycle[name].outcome !== "kept")
      .map((name) => `rule ${name} is ${found.lifecycle[name].outcome}: ${found.lifecycle[name].detail}`),
  ];
}

async function reached({ client, bucket }: Place, patience: number, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + patience * 1000;
  for (;;) {
    try {
      await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: PROBE_PREFIX, MaxKeys: 1 }));
      return;
    } catch (error) {
      const hint = hintOf(error, bucket);
      if (hint !== undefined || Date.now() > deadline) {
        throw new UnreachableError(`bucket ${bucket} can't be probed: ${errorText(error)}${hint ?? ""}`, {
          cause: error,
        });
      }
      await sleep(AGAIN_AFTER, undefined, { signal });
    }
  }
}

/** What to do about an error that no waiting ends; undefined for one that may pass. */
function hintOf(error: unknown, bucket: string): string | undefined {
  const { name, code } = error as { name?: string; code?: string };
  if (name === "NoSuchBucket") return `: make bucket ${bucket}, or correct objectStorage.bucket`;
  if (name === "SignatureDoesNotMatch" || name === "InvalidAccessKeyId")
    return ": the probe's Secret holds an access key that the server doesn't know";
  if (statusOf(error) === 403)
    return `: the probe's user needs s3:ListBucket and object access below ${PROBE_PREFIX}`;
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/.test(code ?? ""))
    return ": the endpoint's certificate isn't trusted; correct it, or give its authority as ca.crt and set caFile";
  return undefined;
}

/** The versions too, where that is allowed; the bucket's rule for the probe's prefix takes what remains. */
async function removeAll({ client, bucket, prefix }: Place): Promise<void> {
  try {
    const { Versions = [], DeleteMarkers = [] } = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix }),
    );
    for (const { Key, VersionId } of [...Versions, ...DeleteMarkers])
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId }));
  } catch {
    // Not allowed or not implemented: then what can be seen is removed.
  }
  try {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    for (const { Key } of Contents) await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
  } catch {
    // A leftover of a few bytes is no reason to fail a deployment.
  }
}
