import type { ResourceView } from "../../policies/model";
import type { Mutation } from "./mutations.js";

// oxlint-disable-next-line typescript/no-explicit-any -- what is broken here is known to be there
type Props = Record<string, any>;

/** One way of breaking a promise about something in the cloud, by the end of its type. */
interface Way {
  readonly type: string;
  readonly name: string;
  readonly rule: string;
  readonly also?: readonly string[];
  /** Changes a copy of the inputs; "gone" takes the resource away. */
  readonly breaks: ((props: Props) => unknown) | "gone";
}

const way = (
  type: string,
  name: string,
  rule: string,
  breaks: Way["breaks"],
  also: readonly string[] = [],
): Way => ({ type, name, rule, breaks, also });

/** Changes a policy that is kept as JSON. */
const ofPolicy =
  (field: string, change: (statements: Props[]) => unknown) =>
  (props: Props): void => {
    const document = JSON.parse(props[field] as string) as { Statement: Props[] };
    change(document.Statement);
    props[field] = JSON.stringify(document);
  };

const WAYS: readonly Way[] = [
  way("BucketServerSideEncryptionConfiguration", "is gone", "bucket-encrypted", "gone"),
  way("BucketServerSideEncryptionConfiguration", "takes S3's key", "bucket-encrypted", ({ rules }) => {
    rules[0].applyServerSideEncryptionByDefault = { sseAlgorithm: "AES256" };
  }),
  way("BucketServerSideEncryptionConfiguration", "asks for each object", "bucket-encrypted", ({ rules }) => {
    rules[0].bucketKeyEnabled = false;
  }),
  way("Bucket", "may be emptied to be deleted", "bucket-kept", (props) => (props["forceDestroy"] = true)),
  way("BucketLogging", "is gone", "bucket-logged", "gone"),
  way("BucketPublicAccessBlock", "is gone", "bucket-not-public", "gone"),
  ...["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"].map((flag) =>
    way("BucketPublicAccessBlock", `has no ${flag}`, "bucket-not-public", (props) => (props[flag] = false)),
  ),
  way("BucketOwnershipControls", "is gone", "bucket-owned", "gone"),
  way("BucketOwnershipControls", "leaves objects to who wrote them", "bucket-owned", ({ rule }) => {
    rule.objectOwnership = "ObjectWriter";
  }),
  way(
    "BucketPolicy",
    "allows everybody",
    "bucket-policy-narrow",
    ofPolicy("policy", (statements) =>
      statements.push({ Effect: "Allow", Principal: "*", Action: ["s3:GetObject"], Resource: ["*"] }),
    ),
  ),
  way("BucketPolicy", "is gone", "bucket-tls-only", "gone"),
  way(
    "BucketPolicy",
    "takes requests in clear",
    "bucket-tls-only",
    ofPolicy("policy", (statements) => statements.shift()),
  ),
  way("BucketLifecycleConfiguration", "is gone", "bucket-tidied", "gone"),
  way("BucketLifecycleConfiguration", "keeps unfinished uploads", "bucket-tidied", ({ rules }) => {
    rules[0].status = "Disabled";
  }),
  way("BucketLifecycleConfiguration", "keeps old versions", "bucket-tidied", ({ rules }) => {
    rules[1].filter = { prefix: "somewhere/" };
  }),
  way("BucketVersioning", "is gone", "bucket-versioned", "gone"),
  way("BucketVersioning", "is suspended", "bucket-versioned", ({ versioningConfiguration }) => {
    versioningConfiguration.status = "Suspended";
  }),
  way("Key", "stays the same for ever", "key-rotated", (props) => (props["enableKeyRotation"] = false)),
  way("Key", "is gone in a week", "key-rotated", (props) => (props["deletionWindowInDays"] = 7)),
  way(
    "RolePolicy",
    "allows everything of S3",
    "cloud-rights-least",
    ofPolicy("policy", ([first]) => (first!["Action"] = ["s3:*"])),
  ),
  way(
    "RolePolicy",
    "is for every bucket",
    "cloud-rights-least",
    ofPolicy("policy", ([first]) => (first!["Resource"] = ["*"])),
  ),
  way(
    "Role",
    "is anybody's",
    "role-taken-by-one",
    ofPolicy("assumeRolePolicy", ([first]) => (first!["Principal"] = "*")),
  ),
];

/** Every such way, one at a time, and a key that somebody adds beside the roles. */
export function cloudMutationsOf(views: readonly ResourceView[], exempted: ReadonlySet<string>): Mutation[] {
  const made = WAYS.flatMap(({ type, name, rule, also = [], breaks }) =>
    views
      .filter((view) => view.type.startsWith("aws:") && view.type.endsWith(`:${type}`))
      .filter((view) => !exempted.has(`${rule} ${view.urn}`))
      .map((target): Mutation => {
        const props = structuredClone(target.props);
        if (breaks !== "gone") breaks(props);
        const resources = views.flatMap((view) =>
          view !== target ? [view] : breaks === "gone" ? [] : [{ ...view, props }],
        );
        return { name: `${type} ${target.name} ${name}`, rule, also, resources };
      }),
  );
  const role = views.find(({ type }) => type === "aws:iam/role:Role");
  if (!role) return made;
  const user = { ...role, type: "aws:iam/user:User", urn: `${role.urn}-user`, name: "user", props: {} };
  return [
    ...made,
    { name: "a user has a key", rule: "no-static-cloud-key", also: [], resources: [...views, user] },
  ];
}
