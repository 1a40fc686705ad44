import { Provider as AwsProvider } from "@pulumi/aws/provider.js";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { beforeAll, describe, expect, it } from "vitest";

import { parseTenantId } from "@video-storage/contract/identity";
import {
  CAPABILITIES_ANNOTATION,
  LIFECYCLE_RULES,
  OBJECT_STORAGE_CAPABILITIES,
} from "@video-storage/contract/object-storage-capabilities";
import { objectStorageSettingsSchema } from "@video-storage/contract/schemas";
import { parseProbeSettings } from "@video-storage/object-storage-probe/settings";

import {
  ArtifactBucket,
  objectStorageIdentities,
  objectStorageSettings,
  probeSettings,
} from "../../components/artifact-bucket.js";
import type {
  ArtifactBucketArgs,
  AwsBacking,
  MinioBacking,
  S3Backing,
} from "../../components/artifact-bucket.js";
import { image } from "../support/local-configuration.js";
import { declared } from "../support/recorder.js";
import type { Declared } from "../support/recorder.js";

const account = "123456789012";
const aws: AwsBacking = {
  kind: "aws",
  accountId: account,
  kmsKeyArn: null,
  identity: { kind: "pod-identity", cluster: "example" },
  accessLogBucket: null,
};
const irsa: AwsBacking = {
  ...aws,
  identity: {
    kind: "irsa",
    providerArn: `arn:aws:iam::${account}:oidc-provider/oidc.example.test/id/1`,
    issuer: "https://oidc.example.test/id/1",
  },
};
const minio: MinioBacking = {
  kind: "minio",
  image: image("minio"),
  clientImage: image("mc"),
  storageClass: "fast",
  volume: null,
  volumeBytes: 2n ** 30n,
  credentialRotation: 1,
};
const s3: S3Backing = {
  kind: "s3",
  endpoint: "https://s3.example.test",
  forcePathStyle: true,
  authoritiesInSecrets: false,
};

const argsFor = (backing: ArtifactBucketArgs["backing"], change: Partial<ArtifactBucketArgs> = {}) => ({
  ...{
    environment: "test",
    namespace: "jobs",
    systemNamespace: "system",
    tenants: ["acme"].map(parseTenantId),
  },
  ...{ bucket: "videos", region: "eu-west-1", probeImage: image("probe"), protectData: true, backing },
  ...change,
});

function declareBucket(args: ArtifactBucketArgs, name = "x"): Promise<Declared> {
  return declared(
    () => {
      const providers = [
        new k8s.Provider("cluster", { context: "test" }),
        new random.Provider("random"),
        new AwsProvider("aws", { region: "eu-west-1" }),
      ];
      const first = new k8s.core.v1.Namespace("first", {}, { provider: providers[0]! });
      new ArtifactBucket(name, args, { providers, dependsOn: [first] });
    },
    {
      stateOf: (type, resource, inputs) => ({
        ...inputs,
        ...(type === "aws:kms/key:Key" && { arn: `arn:aws:kms:eu-west-1:${account}:key/1`, keyId: "1" }),
        ...(type === "aws:iam/role:Role" && {
          arn: `arn:aws:iam::${account}:role/${String(inputs["name"])}`,
        }),
        ...(type.endsWith("RandomBytes") && { base64: Buffer.alloc(32, resource).toString("base64") }),
        ...(type.endsWith("RandomPassword") && { result: `password of ${resource}` }),
      }),
    },
  );
}

describe("on AWS", () => {
  let found: Declared;
  beforeAll(async () => {
    found = await declareBucket(argsFor(aws));
  });
  const inputs = (kind: string, name: string) => found.inputs(kind, name);
  const policyOf = (kind: string, name: string, field = "policy") =>
    JSON.parse(inputs(kind, name)[field] as string) as { Statement: Record<string, unknown>[] };

  it("declares the bucket and everything of it as resources of their own, and no key for anybody", () => {
    expect(
      found
        .names()
        .filter((name) => !/^(aws|kubernetes|random|Namespace|ArtifactBucket|Stack) /.test(name))
        .sort(),
    ).toEqual([
      "Alias x-key-alias",
      "Bucket x-bucket",
      "BucketLifecycleConfiguration x-lifecycle",
      "BucketOwnershipControls x-ownership",
      "BucketPolicy x-policy",
      "BucketPublicAccessBlock x-public-access-block",
      "BucketServerSideEncryptionConfiguration x-encryption",
      "BucketVersioning x-versioning",
      "ConfigMap x-capabilities",
      "ConfigMap x-probe",
      "Job x-probe",
      "Key x-key",
      ...["cleanup", "probe", "uploader", "worker-acme"].map(
        (role) => `PodIdentityAssociation x-${role}-identity`,
      ),
      "Role x-cleanup-role",
      "Role x-probe-job",
      "Role x-probe-report",
      "Role x-probe-role",
      "Role x-uploader-role",
      "Role x-worker-acme-role",
      "RoleBinding x-probe-job",
      "RoleBinding x-probe-report",
      ...["cleanup", "probe", "uploader", "worker-acme"].map((role) => `RolePolicy x-${role}-permissions`),
      "ServiceAccount x-probe",
    ]);
  });

  it("encrypts by KMS with a bucket key and a key that rotates", () => {
    expect(inputs("BucketServerSideEncryptionConfiguration", "x-encryption")["rules"]).toEqual([
      {
        applyServerSideEncryptionByDefault: {
          sseAlgorithm: "aws:kms",
          kmsMasterKeyId: `arn:aws:kms:eu-west-1:${account}:key/1`,
        },
        bucketKeyEnabled: true,
      },
    ]);
    expect(inputs("Key", "x-key")).toMatchObject({ enableKeyRotation: true, deletionWindowInDays: 30 });
  });

  it("blocks all public access, is its owner's, versioned, and never emptied to be deleted", () => {
    expect(inputs("BucketPublicAccessBlock", "x-public-access-block")).toEqual({
      ...{ bucket: "videos", region: "eu-west-1", blockPublicAcls: true, blockPublicPolicy: true },
      ...{ ignorePublicAcls: true, restrictPublicBuckets: true },
    });
    expect(inputs("BucketOwnershipControls", "x-ownership")["rule"]).toEqual({
      objectOwnership: "BucketOwnerEnforced",
    });
    expect(inputs("BucketVersioning", "x-versioning")["versioningConfiguration"]).toEqual({
      status: "Enabled",
    });
    expect(inputs("Bucket", "x-bucket")["forceDestroy"]).toBe(false);
  });

  it("carries the denials, and the rules for what is left over", () => {
    expect(policyOf("BucketPolicy", "x-policy").Statement.map(({ Sid }) => Sid)).toEqual([
      "DenyPlainHttp",
      "DenyOldTls",
      "DenyOtherEncryption",
      "DenyOtherKey",
      "DenyCustomerKey",
    ]);
    const { rules, transitionDefaultMinimumObjectSize } = inputs(
      "BucketLifecycleConfiguration",
      "x-lifecycle",
    );
    expect((rules as { id: string }[]).map(({ id }) => id)).toEqual(
      LIFECYCLE_RULES.filter((rule) => rule !== "transition-cold-objects"),
    );
    expect(transitionDefaultMinimumObjectSize).toBe("all_storage_classes_128K");
  });

  it("ties each role to one ServiceAccount", () => {
    const associations = ["worker-acme", "uploader", "cleanup", "probe"].map((role) => {
      const { namespace, serviceAccount, roleArn, clusterName } = inputs(
        "PodIdentityAssociation",
        `x-${role}-identity`,
      );
      return [clusterName, namespace, serviceAccount, roleArn];
    });
    const arn = (role: string) => `arn:aws:iam::${account}:role/videos-${role}`;
    expect(associations).toEqual([
      ["example", "jobs", "worker-acme", arn("worker-acme")],
      ["example", "jobs", "uploader", arn("uploader")],
      ["example", "jobs", "cleanup", arn("cleanup")],
      ["example", "system", "object-storage-probe", arn("probe")],
    ]);
    expect(policyOf("RolePolicy", "x-uploader-permissions").Statement.at(-1)).toEqual({
      Effect: "Allow",
      Action: ["kms:Decrypt"],
      Resource: [`arn:aws:kms:eu-west-1:${account}:key/1`],
      Condition: {
        StringEquals: { "kms:ViaService": "s3.eu-west-1.amazonaws.com" },
        StringLike: { "kms:EncryptionContext:aws:s3:arn": ["arn:aws:s3:::videos", "arn:aws:s3:::videos/*"] },
      },
    });
  });

  it("keeps what holds the objects and what guards them", () => {
    const kept = found.resources.filter(({ protect, retainOnDelete }) => protect && retainOnDelete);
    expect(kept.map(({ name }) => name).sort()).toEqual([
      ...["x-bucket", "x-encryption", "x-key", "x-key-alias", "x-lifecycle", "x-ownership", "x-policy"],
      ...["x-public-access-block", "x-versioning"],
    ]);
    expect(found.resources.filter(({ protect, retainOnDelete }) => protect !== retainOnDelete)).toEqual([]);
  });

  it("loses neither its key nor a guard to a deletion of the bucket that S3 refuses", () => {
    const bucket = found.one("Bucket", "x-bucket");
    expect(bucket.dependencies).toContain(found.one("Key", "x-key").urn);
    const along = found.resources.filter(({ deletedWith }) => deletedWith === bucket.urn);
    expect(along.map(({ name }) => name).sort()).toEqual([
      ...["x-encryption", "x-lifecycle", "x-ownership", "x-policy", "x-public-access-block", "x-versioning"],
    ]);
  });

  it("changes the bucket's access one thing at a time, and probes last", () => {
    const needs = (kind: string, name: string) =>
      found.one(kind, name).dependencies.map((urn) => urn.split("::").at(-1)!);
    expect(needs("BucketOwnershipControls", "x-ownership")).toContain("x-public-access-block");
    expect(needs("BucketPolicy", "x-policy")).toEqual(
      expect.arrayContaining(["x-public-access-block", "x-ownership"]),
    );
    expect(needs("BucketLifecycleConfiguration", "x-lifecycle")).toContain("x-versioning");
    expect(needs("Job", "x-probe")).toEqual(
      expect.arrayContaining([
        ...["x-policy", "x-encryption", "x-lifecycle", "x-probe-permissions", "x-probe-identity"],
        ...["x-worker-acme-permissions", "x-capabilities", "x-probe-report", "x-probe-job"],
      ]),
    );
  });

  it("gives every resource its component as parent, its provider, and what it was told to wait for", () => {
    const own = found.resources.filter(({ custom, name }) => custom && name.startsWith("x-"));
    expect(own).toHaveLength(29);
    for (const { type, parent, provider, dependencies } of own) {
      expect(parent).toBe("urn:pulumi:test::video-storage::video-storage:kubernetes:ArtifactBucket::x");
      expect(provider.split("::")[3]).toBe(type.startsWith("aws:") ? "aws" : "cluster");
      expect(dependencies.some((urn) => urn.endsWith("::first"))).toBe(true);
    }
  });

  it("with IRSA makes no association: the ServiceAccounts say which role", async () => {
    const other = await declareBucket(argsFor(irsa));
    expect(other.names().filter((name) => name.startsWith("PodIdentity"))).toEqual([]);
    expect(other.inputs("ServiceAccount", "x-probe")["metadata"]).toMatchObject({
      annotations: { "eks.amazonaws.com/role-arn": `arn:aws:iam::${account}:role/videos-probe` },
    });
    expect(objectStorageIdentities(argsFor(irsa))[0]).toEqual({
      role: "worker-acme",
      serviceAccount: { namespace: "jobs", name: "worker-acme" },
      secret: null,
      annotations: { "eks.amazonaws.com/role-arn": `arn:aws:iam::${account}:role/videos-worker-acme` },
    });
  });

  it("takes a key that is there already, and logs into another bucket when told to", async () => {
    const kmsKeyArn = `arn:aws:kms:eu-west-1:${account}:key/other`;
    const other = await declareBucket(argsFor({ ...aws, kmsKeyArn, accessLogBucket: "logs" }));
    expect(other.names().filter((name) => /^(Key|Alias) /.test(name))).toEqual([]);
    expect(other.inputs("BucketPolicy", "x-policy")["policy"]).toContain(kmsKeyArn);
    expect(other.inputs("BucketLogging", "x-access-log")).toMatchObject({
      targetBucket: "logs",
      targetPrefix: "videos/",
    });
  });

  it("protects nothing where the data is disposable", async () => {
    const other = await declareBucket(argsFor(aws, { protectData: false }));
    expect(other.resources.filter(({ protect, retainOnDelete }) => protect || retainOnDelete)).toEqual([]);
  });
});

describe("at any other endpoint", () => {
  it("makes nothing but the probe, which takes its key from a Secret that is there", async () => {
    const found = await declareBucket(argsFor(s3));
    const own = found.resources.filter(({ custom, name }) => custom && name.startsWith("x-"));
    expect(own.map(({ type, name }) => `${type.split(":").at(-1)} ${name}`).sort()).toEqual([
      "ConfigMap x-capabilities",
      "ConfigMap x-probe",
      "Job x-probe",
      "Role x-probe-job",
      "Role x-probe-report",
      "RoleBinding x-probe-job",
      "RoleBinding x-probe-report",
      "ServiceAccount x-probe",
    ]);
    const spec = found.inputs("Job", "x-probe")["spec"] as { template: { spec: { volumes: unknown[] } } };
    expect(spec.template.spec.volumes).toContainEqual({
      name: "object-storage",
      secret: { secretName: "object-storage-probe", defaultMode: 0o444 },
    });
  });
});

describe("with MinIO", () => {
  it("hands each role its key with the authority that the server's certificate is checked against", async () => {
    const found = await declareBucket(argsFor(minio));
    const secret = (name: string) => found.inputs("Secret", name)["stringData"] as Record<string, string>;
    const authority = secret("x-tls")["ca.crt"];
    expect(authority).toMatch(/^-----BEGIN CERTIFICATE-----/);
    for (const role of ["worker-acme", "uploader", "cleanup", "probe"]) {
      expect(secret(`x-${role}`)).toEqual({
        accessKeyId: role,
        secretAccessKey: `password of x-${role}-password`,
        "ca.crt": authority,
      });
    }
    const setup = found.inputs("Secret", "x-setup")["data"] as Record<string, string>;
    expect(Object.keys(setup).sort()).toEqual(["ca.crt", "identities.zip", "root-password", "root-user"]);
    expect(Buffer.from(setup["ca.crt"]!, "base64").toString()).toBe(authority);
  });

  it("takes a certificate that somebody else keeps, and then generates none", async () => {
    const tls = { source: "secret", secret: "from-cert-manager", authorities: "PEM" } as const;
    const found = await declareBucket(argsFor({ ...minio, tls }));
    expect(found.names().filter((name) => /tls/.test(name))).toEqual([]);
    const server = JSON.stringify(found.inputs("StatefulSet", "x-server"));
    expect(server).toContain('"secretName":"from-cert-manager"');
    expect(found.inputs("Secret", "x-cleanup")["stringData"]).toMatchObject({ "ca.crt": "PEM" });
    const isPublic = { ...tls, authorities: null };
    expect(objectStorageSettings(argsFor({ ...minio, tls: isPublic })).caFile).toBeNull();
  });

  it("starts the server anew when its keys are replaced, and only then", async () => {
    const hash = async (credentialRotation: number, password: string) => {
      const found = await declared(
        () => {
          const providers = [new k8s.Provider("cluster", {}), new random.Provider("random")];
          new ArtifactBucket("x", argsFor({ ...minio, credentialRotation }), { providers });
        },
        {
          stateOf: (type, _name, inputs) => ({
            ...inputs,
            ...(type.endsWith("RandomBytes") && { base64: Buffer.alloc(32).toString("base64") }),
            ...(type.endsWith("RandomPassword") && { result: password }),
          }),
        },
      );
      const { spec } = found.inputs("StatefulSet", "x-server") as {
        spec: { template: { metadata: { annotations: Record<string, string> } } };
      };
      return spec.template.metadata.annotations["video-storage/secrets-hash"];
    };
    const first = await hash(1, "one");
    expect(first).toMatch(/^[0-9a-f]{10}$/);
    expect(await hash(1, "one")).toBe(first);
    expect(await hash(2, "two")).not.toBe(first);
  });
});

describe("every backing", () => {
  it.each([
    ["aws", aws, { endpoint: null, forcePathStyle: false, credentials: "ambient", caFile: null }],
    [
      "minio",
      minio,
      {
        endpoint: "https://object-storage.system.svc:9000",
        forcePathStyle: true,
        credentials: "secret",
        caFile: "/run/secrets/object-storage/ca.crt",
      },
    ],
    [
      "s3",
      s3,
      { endpoint: "https://s3.example.test", forcePathStyle: true, credentials: "secret", caFile: null },
    ],
  ] as const)("is connected to by the same fields: %s", (_kind, backing, expected) => {
    const settings = objectStorageSettings(argsFor(backing));
    expect(settings).toEqual({ ...expected, region: "eu-west-1", bucket: "videos" });
    expect(objectStorageSettingsSchema.parse(settings)).toEqual(settings);
  });

  it.each([
    ["aws", aws, "verify", "aws:kms", [...OBJECT_STORAGE_CAPABILITIES], 5],
    [
      "minio",
      minio,
      "apply",
      "AES256",
      OBJECT_STORAGE_CAPABILITIES.filter((name) => name !== "list-unfinished-uploads"),
      4,
    ],
    ["s3", s3, "apply", null, ["tls-only", "no-public-access", "multipart"], 0],
  ] as const)(
    "is probed for what it promises: %s",
    (_kind, backing, mode, encryption, capabilities, rules) => {
      const settings = parseProbeSettings(probeSettings(argsFor(backing)));
      expect(settings.lifecycle.mode).toBe(mode);
      expect(settings.encryption).toBe(encryption);
      expect(settings.required.capabilities).toEqual(capabilities);
      expect(settings.required.rules).toHaveLength(rules);
      expect(settings.report).toEqual({ namespace: "jobs", name: "object-storage-capabilities" });
    },
  );

  it("tells what the probe left on its Job, and null where nothing ran it", async () => {
    const entry = { held: true, required: false, detail: "seen" };
    const report = {
      version: 1,
      probedAt: "2026-01-02T03:04:05.678Z",
      endpoint: null,
      bucket: "videos",
      capabilities: Object.fromEntries(OBJECT_STORAGE_CAPABILITIES.map((name) => [name, entry])),
      lifecycle: Object.fromEntries(LIFECYCLE_RULES.map((name) => [name, { outcome: "kept", detail: "" }])),
    };
    const told = async (annotations: Record<string, string> | undefined) => {
      let bucket: ArtifactBucket;
      await declared(
        () => {
          bucket = new ArtifactBucket("x", argsFor(s3), { providers: [new k8s.Provider("cluster", {})] });
        },
        {
          stateOf: (type, _name, inputs) =>
            type.endsWith(":Job")
              ? { ...inputs, metadata: { ...(inputs["metadata"] as object), annotations } }
              : inputs,
        },
      );
      return new Promise((resolve) => bucket!.capabilities.apply(resolve));
    };
    expect(await told({ [CAPABILITIES_ANNOTATION]: JSON.stringify(report) })).toEqual(report);
    expect(await told(undefined)).toBeNull();
  });

  it("can be had twice in one program, under names of its own", async () => {
    const found = await declared(() => {
      const providers = [new k8s.Provider("cluster", {}), new AwsProvider("aws", {})];
      new ArtifactBucket("a", argsFor(aws), { providers });
      new ArtifactBucket("b", argsFor(aws, { bucket: "others" }), { providers });
      return pulumi;
    });
    const urns = found.resources.map(({ urn }) => urn);
    expect(new Set(urns).size).toBe(urns.length);
    expect(urns.filter((urn) => urn.endsWith("-bucket"))).toHaveLength(2);
  });
});
