/** What a bucket's roles may do, once: the policies are judged by it, and so is every server that they are given to. */

/** The keys that are tried, of two tenants, of nobody, and of the probe. */
export const KEYS = {
  acme: "tenants/acme/jobs/1/source.mp4",
  // Begins as acme's prefix does, without its slash.
  "acme-2": "tenants/acme-2/jobs/1/source.mp4",
  stray: "source.mp4",
  probe: "probe/1/object",
} as const;
export type Where = keyof typeof KEYS;

/** What is tried on an object, and the action that S3 asks the policies for. */
export const OBJECT_OPERATIONS = {
  read: "s3:GetObject",
  write: "s3:PutObject",
  tag: "s3:PutObjectTagging",
  delete: "s3:DeleteObject",
  destroy: "s3:DeleteObjectVersion",
} as const;
export type ObjectOperation = keyof typeof OBJECT_OPERATIONS;

/** What is tried on the bucket. `list` is tried below each prefix. */
export const BUCKET_OPERATIONS = {
  "list-uploads": "s3:ListBucketMultipartUploads",
  "list-versions": "s3:ListBucketVersions",
  "read-lifecycle": "s3:GetLifecycleConfiguration",
  "write-lifecycle": "s3:PutLifecycleConfiguration",
  "write-policy": "s3:PutBucketPolicy",
  "suspend-versions": "s3:PutBucketVersioning",
  "delete-bucket": "s3:DeleteBucket",
} as const;
export type BucketOperation = keyof typeof BUCKET_OPERATIONS;

export interface Allowed {
  readonly objects: Partial<Record<Where, readonly (ObjectOperation | "list")[]>>;
  readonly bucket: readonly BucketOperation[];
}

const cleanup = ["read", "write", "tag", "delete", "list"] as const;

/** Everything that isn't here is denied. */
export const ROLE_MATRIX: Readonly<Record<string, Allowed>> = {
  "worker-acme": { objects: { acme: ["read", "write", "list"] }, bucket: [] },
  "worker-acme-2": { objects: { "acme-2": ["read", "write", "list"] }, bucket: [] },
  uploader: { objects: { acme: ["read", "list"], "acme-2": ["read", "list"] }, bucket: [] },
  cleanup: { objects: { acme: cleanup, "acme-2": cleanup }, bucket: ["list-uploads"] },
  probe: {
    objects: { probe: ["read", "write", "tag", "delete", "destroy", "list"] },
    bucket: ["list-uploads", "list-versions", "read-lifecycle", "write-lifecycle"],
  },
};

/** Each thing that can be tried, with what is expected of it. */
export function attempts(role: string): {
  operation: ObjectOperation | BucketOperation | "list";
  where: Where | null;
  allowed: boolean;
}[] {
  const allowed = ROLE_MATRIX[role]!;
  const onObjects = (Object.keys(KEYS) as Where[]).flatMap((where) =>
    ([...Object.keys(OBJECT_OPERATIONS), "list"] as (ObjectOperation | "list")[]).map((operation) => ({
      operation,
      where,
      allowed: allowed.objects[where]?.includes(operation) ?? false,
    })),
  );
  const onBucket = (Object.keys(BUCKET_OPERATIONS) as BucketOperation[]).map((operation) => ({
    operation,
    where: null,
    allowed: allowed.bucket.includes(operation),
  }));
  return [...onObjects, ...onBucket];
}
