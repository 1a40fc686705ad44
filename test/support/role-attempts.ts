import {
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";

import { KEYS } from "./role-matrix.js";
import type { attempts } from "./role-matrix.js";

type Attempt = Pick<ReturnType<typeof attempts>[number], "operation" | "where">;

/**
 * Tries it on a real server with a role's own client. True when it was allowed, false when access was denied; any
 * other answer is thrown, so that a mistake of the test never passes for a denial. `administrator` puts the object
 * there first, and knows the version that is to be destroyed.
 */
export async function tryIt(
  client: S3Client,
  administrator: S3Client,
  Bucket: string,
  { operation, where }: Attempt,
  /** Whether the object is put there first, which needs one who may. */
  { there = true }: { there?: boolean } = {},
): Promise<boolean> {
  const Key = KEYS[where ?? "probe"];
  const { VersionId } = there
    ? await administrator.send(new PutObjectCommand({ Bucket, Key, Body: "there" }))
    : {};
  const { Rules = [] } = await administrator
    .send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
    .catch(() => ({ Rules: [] }));
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: "*", Action: ["s3:GetObject"], Resource: [`arn:aws:s3:::${Bucket}/*`] },
    ],
  });
  const TagSet = [{ Key: "tried", Value: "yes" }];
  const commands: Record<Attempt["operation"], () => Promise<unknown>> = {
    read: () => client.send(new GetObjectCommand({ Bucket, Key })),
    write: () => client.send(new PutObjectCommand({ Bucket, Key, Body: "written" })),
    tag: () => client.send(new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet } })),
    delete: () => client.send(new DeleteObjectCommand({ Bucket, Key })),
    destroy: () => client.send(new DeleteObjectCommand({ Bucket, Key, VersionId })),
    list: () => client.send(new ListObjectsV2Command({ Bucket, Prefix: Key.replace(/[^/]+$/, "") })),
    "list-uploads": () => client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: Key })),
    "list-versions": () => client.send(new ListObjectVersionsCommand({ Bucket })),
    "read-lifecycle": () => client.send(new GetBucketLifecycleConfigurationCommand({ Bucket })),
    "write-lifecycle": () =>
      client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } })),
    "write-policy": () => client.send(new PutBucketPolicyCommand({ Bucket, Policy })),
    "suspend-versions": () =>
      client.send(
        new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } }),
      ),
    "delete-bucket": () => client.send(new DeleteBucketCommand({ Bucket })),
  };
  try {
    await commands[operation]();
    return true;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    if (name === "AccessDenied" && $metadata?.httpStatusCode === 403) return false;
    throw error;
  }
}
