import type { ResourceView, Stack } from "./model";

/** Since version 7 of the AWS provider `Bucket` alone; `BucketV2` is its name of before. */
const BUCKET_TYPES = ["aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"];

/** The resources that say one thing of a bucket, by what they say. Each has a name of before as well. */
const PARTS = {
  encryption: "BucketServerSideEncryptionConfiguration",
  publicAccess: "BucketPublicAccessBlock",
  ownership: "BucketOwnershipControls",
  versioning: "BucketVersioning",
  lifecycle: "BucketLifecycleConfiguration",
  logging: "BucketLogging",
  policy: "BucketPolicy",
} as const;

export type BucketPart = keyof typeof PARTS;

export function bucketsOf(stack: Stack): ResourceView[] {
  return stack.ofType(...BUCKET_TYPES);
}

/** The name that a bucket has in S3, in each place that says it; none when it isn't known yet. */
export function bucketNames({ props }: ResourceView): string[] {
  return [props["id"], props["bucket"]].filter((name) => typeof name === "string");
}

/**
 * The resources that say one thing of a bucket. They name it by its id, which isn't known before the first
 * update, so what the engine tells of where that value came from is looked at as well.
 */
export function partsOf(stack: Stack, bucket: ResourceView, part: BucketPart): ResourceView[] {
  const name = PARTS[part];
  const token = `aws:s3/${name[0]!.toLowerCase()}${name.slice(1)}`;
  const names = new Set([...bucketNames(bucket), bucket.name]);
  return stack
    .ofType(`${token}:${name}`, `${token}V2:${name}V2`)
    .filter(
      (view) =>
        (view.uses?.["bucket"] ?? []).includes(bucket.urn) || names.has(view.props["bucket"] as string),
    );
}
