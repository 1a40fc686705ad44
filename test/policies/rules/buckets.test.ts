import { UNKNOWN } from "../../../policies/model";
import type { ResourceView } from "../../../policies/model";
import { describeRules, resource } from "../examples.js";

type Props = Record<string, unknown>;

const bucket = (props: Props = {}, more: Partial<ResourceView> = {}) =>
  resource("aws:s3/bucket:Bucket", { bucket: "videos", ...props }, { name: "videos", ...more });
/** One of the resources that say something of the bucket, by the name it has since version 7. */
const part = (name: string, props: Props, more: Partial<ResourceView> = {}) =>
  resource(`aws:s3/${name[0]!.toLowerCase()}${name.slice(1)}:${name}`, { bucket: "videos", ...props }, more);
/** Before the first update the bucket's id isn't known, and only where the value comes from is. */
const beforeUpdate = (view: ResourceView): ResourceView => ({
  ...view,
  props: { ...view.props, bucket: UNKNOWN },
  uses: { bucket: [bucket().urn] },
});

const encryption = (given: Props = {}, rule: Props = {}) =>
  part("BucketServerSideEncryptionConfiguration", {
    rules: [
      {
        applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: "arn:key", ...given },
        bucketKeyEnabled: true,
        ...rule,
      },
    ],
  });
const publicAccess = (change: Props = {}) =>
  part("BucketPublicAccessBlock", {
    ...{
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    ...change,
  });
const policy = (...statements: Props[]) =>
  part("BucketPolicy", { policy: JSON.stringify({ Version: "2012-10-17", Statement: statements }) });
const tls = (change: Props = {}) => ({
  Effect: "Deny",
  Principal: "*",
  Action: "s3:*",
  Resource: ["arn:aws:s3:::videos", "arn:aws:s3:::videos/*"],
  Condition: { Bool: { "aws:SecureTransport": "false" } },
  ...change,
});
const everybody = (Condition: Props) => ({
  Effect: "Allow",
  Principal: "*",
  Action: "s3:GetObject",
  Resource: "*",
  Condition,
});
const denied = (Resource: string) => ({ Effect: "Deny", Principal: "*", Action: "s3:*", Resource });
const versioning = (status: string) => part("BucketVersioning", { versioningConfiguration: { status } });
const ABORT = { status: "Enabled", filter: {}, abortIncompleteMultipartUpload: { daysAfterInitiation: 7 } };
const NONCURRENT = { status: "Enabled", filter: {}, noncurrentVersionExpiration: { noncurrentDays: 30 } };
const lifecycle = (...rules: Props[]) => part("BucketLifecycleConfiguration", { rules });
const ownership = (objectOwnership: string) => part("BucketOwnershipControls", { rule: { objectOwnership } });
const logging = (targetBucket: string) => part("BucketLogging", { targetBucket });
const logs = resource("aws:s3/bucket:Bucket", { bucket: "logs" }, { name: "logs" });
const key = (props: Props, more: Partial<ResourceView> = {}) => resource("aws:kms/key:Key", props, more);

describeRules("buckets", {
  "bucket-encrypted": {
    pass: [
      [bucket(), encryption()],
      [bucket(), beforeUpdate(encryption())],
      [bucket(), encryption({ kmsMasterKeyId: UNKNOWN })],
      [bucket(), encryption({ kmsMasterKeyId: "alias/ours" })],
      [bucket(), encryption({ sseAlgorithm: "aws:kms:dsse" }, { bucketKeyEnabled: undefined })],
      [],
    ],
    fail: [
      [[bucket()], "nothing says how it encrypts"],
      [
        [bucket(), { ...encryption(), props: { ...encryption().props, bucket: "other" } }],
        "nothing says how it encrypts",
      ],
      [[bucket(), encryption({ sseAlgorithm: "AES256" })], "sseAlgorithm is AES256; set aws:kms"],
      [[bucket(), encryption({ kmsMasterKeyId: undefined })], "it uses the account's key"],
      [[bucket(), encryption({}, { bucketKeyEnabled: false })], "set bucketKeyEnabled: true"],
      ...["alias/aws/s3", "arn:aws:kms:eu-west-1:1:alias/aws/s3"].map(
        (kmsMasterKeyId): [ResourceView[], string] => [
          [bucket(), encryption({ kmsMasterKeyId })],
          "it uses the account's key",
        ],
      ),
    ],
  },
  "bucket-not-public": {
    pass: [
      [bucket(), publicAccess()],
      [bucket(), beforeUpdate(publicAccess())],
    ],
    fail: [
      [[bucket()], "nothing blocks public access"],
      [[bucket(), publicAccess({ blockPublicPolicy: false })], "blockPublicPolicy are not true"],
      [
        [bucket(), publicAccess({ restrictPublicBuckets: undefined, ignorePublicAcls: false })],
        "ignorePublicAcls, restrictPublicBuckets are not true",
      ],
    ],
  },
  "bucket-tls-only": {
    pass: [
      [bucket(), policy(tls())],
      [bucket(), policy(tls({ Principal: { AWS: "*" }, Resource: "*" }))],
      [bucket(), part("BucketPolicy", { policy: UNKNOWN })],
      [bucket(), part("BucketPolicy", { policy: { Statement: [tls({ Resource: [UNKNOWN, UNKNOWN] })] } })],
      [
        bucket(),
        policy(tls({ Resource: "arn:aws:s3:::videos" }), tls({ Resource: "arn:aws:s3:::videos/*" })),
      ],
      [bucket(), policy(tls({ Action: "S3:*", Condition: { Bool: { "aws:secureTransport": false } } }))],
      [bucket(), policy(tls({ Resource: ["arn:aws-cn:s3:::videos", "arn:aws-cn:s3:::videos/*"] }))],
      [bucket({ bucket: UNKNOWN }), { ...beforeUpdate(policy(tls())) }],
    ],
    fail: [
      [[bucket()], "aws:SecureTransport is false; add one"],
      [
        [bucket(), policy(tls({ Resource: ["arn:aws:s3:::videos", "arn:aws:s3:::videos/logs/*"] }))],
        "add one",
      ],
      [[bucket(), policy(tls({ Resource: ["arn:aws:s3:::other", "arn:aws:s3:::other/*"] }))], "add one"],
      [
        [
          bucket({ bucket: UNKNOWN }),
          beforeUpdate(policy(tls({ Resource: ["arn:aws:s3:::videos", "arn:aws:s3:::videos/logs/*"] }))),
        ],
        "add one",
      ],
      [
        [
          bucket(),
          policy(
            tls({ Condition: { Bool: { "aws:SecureTransport": "false", "aws:ViaAWSService": "true" } } }),
          ),
        ],
        "add one",
      ],
      [[bucket(), policy(tls({ Resource: ["arn:aws:s3:::videos/*"] }))], "add one"],
      [[bucket(), policy(tls({ Effect: "Allow" }))], "add one"],
      [[bucket(), policy(tls({ Action: "s3:GetObject" }))], "add one"],
      [[bucket(), policy(tls({ Condition: { Bool: { "aws:SecureTransport": "true" } } }))], "add one"],
      [
        [
          bucket(),
          policy(
            tls({ Condition: { Bool: { "aws:SecureTransport": "false" }, StringEquals: { "aws:x": "y" } } }),
          ),
        ],
        "add one",
      ],
      [[bucket(), part("BucketPolicy", { policy: "{nope" })], "add one"],
    ],
  },
  "bucket-policy-narrow": {
    pass: [
      [bucket(), policy(tls())],
      [bucket()],
      [bucket(), policy({ Effect: "Allow", Principal: { AWS: "arn:role" }, Action: "s3:*", Resource: "*" })],
      [bucket(), policy(everybody({ StringEquals: { "aws:PrincipalOrgID": "o-1" } }))],
      [bucket(), policy(everybody({ ArnLike: { "aws:sourceArn": "arn:aws:s3:::logs" } }))],
      [bucket(), policy(everybody({ IpAddress: { "aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"] } }))],
      [bucket(), policy(denied("arn:aws:s3:::videos/private/*"))],
      [bucket(), policy({ ...denied("arn:aws:s3:::videos"), Action: "s3:GetObject" })],
    ],
    fail: [
      [
        [bucket(), policy({ Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "*" })],
        "statement 1 allows everybody",
      ],
      [
        [bucket(), policy({ Effect: "Allow", NotPrincipal: { AWS: "arn" }, Action: "s3:GetObject" })],
        "statement 1 allows everybody",
      ],
      [
        [bucket(), policy(tls(), { Effect: "Deny", Principal: "*", Action: "s3:*", Resource: "*" })],
        "statement 2 denies everybody, the owner too, to change the policy",
      ],
      [[bucket(), policy(denied("arn:aws:s3:::videos"))], "statement 1 denies everybody, the owner too"],
      ...[
        { Bool: { "aws:SecureTransport": "true" } },
        { StringNotEquals: { "aws:PrincipalOrgID": "o-1" } },
        { StringLike: { "aws:PrincipalArn": "*" } },
        { IpAddress: { "aws:SourceIp": "0.0.0.0/0" } },
        { NotIpAddress: { "aws:SourceIp": "203.0.113.0/24" } },
      ].map((condition): [ResourceView[], string] => [
        [bucket(), policy(everybody(condition))],
        "statement 1 allows everybody; name the principals, or who they are in a condition",
      ]),
      [[bucket(), part("BucketPolicy", { policy: "{nope" })], "is no JSON document"],
    ],
  },
  "bucket-versioned": {
    pass: [
      [bucket(), versioning("Enabled")],
      [bucket(), beforeUpdate(versioning("Enabled"))],
    ],
    fail: [
      [[bucket()], "nothing turns versioning on"],
      [[bucket(), versioning("Suspended")], "versioning is Suspended"],
    ],
  },
  "bucket-tidied": {
    pass: [
      [bucket(), lifecycle(ABORT, NONCURRENT)],
      [bucket(), beforeUpdate(lifecycle({ ...ABORT, ...NONCURRENT }))],
      [bucket(), lifecycle({ ...ABORT, ...NONCURRENT, filter: { prefix: "" } })],
    ],
    fail: [
      [[bucket()], "it has no lifecycle"],
      [[bucket(), lifecycle(NONCURRENT)], "aborts unfinished uploads within 7 days"],
      [
        [
          bucket(),
          lifecycle(NONCURRENT, { ...ABORT, abortIncompleteMultipartUpload: { daysAfterInitiation: 8 } }),
        ],
        "within 7 days",
      ],
      [[bucket(), lifecycle(NONCURRENT, { ...ABORT, status: "Disabled" })], "within 7 days"],
      [[bucket(), lifecycle(NONCURRENT, { ...ABORT, filter: { prefix: "staging/" } })], "within 7 days"],
      [
        [bucket(), lifecycle(NONCURRENT, { ...ABORT, filter: { objectSizeGreaterThan: 1024 } })],
        "within 7 days",
      ],
      [[bucket(), lifecycle(ABORT)], "ends old versions"],
    ],
  },
  "bucket-owned": {
    pass: [[bucket(), ownership("BucketOwnerEnforced")]],
    fail: [
      [[bucket()], "nothing says who owns its objects"],
      [[bucket(), ownership("ObjectWriter")], "objectOwnership is ObjectWriter"],
    ],
  },
  "bucket-logged": {
    pass: [
      [bucket(), logging("logs")],
      [bucket(), logs, logging("logs")],
      [
        bucket({ bucket: UNKNOWN }),
        { ...logs, props: { bucket: UNKNOWN } },
        {
          ...beforeUpdate(logging("")),
          props: { bucket: UNKNOWN, targetBucket: UNKNOWN },
          uses: { bucket: [bucket().urn], targetBucket: [logs.urn] },
        },
      ],
    ],
    fail: [
      [[bucket(), logging("videos")], "it logs into itself, and each log is logged; name another bucket"],
      [
        [
          bucket({ bucket: UNKNOWN }),
          { ...logging("elsewhere"), props: { bucket: "x", targetBucket: UNKNOWN } },
        ],
        "its requests are not logged",
      ],
      [[bucket()], "its requests are not logged"],
      [
        [bucket(), logs, { ...logging("elsewhere"), props: { bucket: "other", targetBucket: "logs" } }],
        "its requests are not logged",
      ],
    ],
  },
  "bucket-kept": {
    pass: [[bucket({}, { protect: true })], [bucket()], [key({}, { protect: true })]],
    fail: [
      [[bucket({ forceDestroy: true })], "forceDestroy is true"],
      [[bucket({}, { protect: false })], "it isn't protected"],
      [[key({}, { protect: false })], "it isn't protected"],
    ],
  },
  "key-rotated": {
    pass: [
      [key({ enableKeyRotation: true, deletionWindowInDays: 30 })],
      [key({ enableKeyRotation: true })],
      [key({ enableKeyRotation: true, rotationPeriodInDays: 90 })],
    ],
    fail: [
      [[key({ enableKeyRotation: true, rotationPeriodInDays: 2560 })], "rotationPeriodInDays is 2560"],
      [[key({})], "enableKeyRotation is not set"],
      [[key({ enableKeyRotation: true, deletionWindowInDays: 7 })], "deletionWindowInDays is 7"],
    ],
  },
});
