import { at, objects, texts } from "./model";
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

/**
 * The resources that say one thing of a bucket. They name it by its id, which isn't known before the first
 * update, so what the engine tells of where that value came from is looked at as well.
 */
export function partsOf(stack: Stack, bucket: ResourceView, part: BucketPart): ResourceView[] {
  const name = PARTS[part];
  const token = `aws:s3/${name[0]!.toLowerCase()}${name.slice(1)}`;
  const names = new Set(
    [bucket.props["id"], bucket.props["bucket"], bucket.name].filter((id) => typeof id === "string"),
  );
  return stack
    .ofType(`${token}:${name}`, `${token}V2:${name}V2`)
    .filter(
      (view) =>
        (view.uses?.["bucket"] ?? []).includes(bucket.urn) || names.has(view.props["bucket"] as string),
    );
}

export interface Statement {
  readonly effect: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  /** Whether anybody is meant. */
  readonly everybody: boolean;
  readonly conditions: Readonly<Record<string, unknown>>;
}

/** The statements of a policy document, as text or as an object; undefined when it can't be read or isn't known. */
export function statementsOf(document: unknown): Statement[] | undefined {
  let parsed: unknown = document;
  if (typeof document === "string") {
    try {
      parsed = JSON.parse(document);
    } catch {
      return undefined;
    }
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const listed = at(parsed, "Statement");
  return objects(Array.isArray(listed) ? listed : [listed]).map((statement) => {
    const principal = statement["Principal"];
    // What is allowed but for what it names is nearly everything; what is denied so is not.
    const allowsAllBut = (key: string): boolean =>
      statement["Effect"] === "Allow" && statement[key] !== undefined;
    const except = (key: string): readonly string[] => (allowsAllBut(key) ? ["*"] : []);
    return {
      effect: String(statement["Effect"]),
      actions: [...texts(statement["Action"]), ...except("NotAction")],
      resources: [...texts(statement["Resource"]), ...except("NotResource")],
      everybody:
        principal === "*" || texts(at(principal, "AWS")).includes("*") || allowsAllBut("NotPrincipal"),
      conditions: (statement["Condition"] ?? {}) as Record<string, unknown>,
    };
  });
}
