import { X509Certificate, createPrivateKey, randomBytes } from "node:crypto";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { connect } from "node:tls";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseTenantId } from "@video-storage/contract/identity";
import { jobPrefix } from "@video-storage/contract/layout";
import { RELEASED_TAG } from "@video-storage/contract/object-storage-capabilities";

import { awsLifecycleRule } from "../../components/lib/aws-bucket.js";
import {
  awsRoleName,
  bucketPolicy,
  keyPolicy,
  rolePolicy,
  trustPolicy,
} from "../../components/lib/aws-bucket-policies.js";
import type { AwsIdentity } from "../../components/lib/aws-bucket-policies.js";
import { bucketRoles } from "../../components/lib/bucket-policies.js";
import { buildMinioServer, minioEndpoint, minioHosts } from "../../components/lib/minio-workloads.js";
import { lifecycleRules } from "../../components/lib/object-lifecycle.js";
import { setupScript } from "../../components/lib/object-storage-setup.js";
import { buildProbeJob } from "../../components/lib/object-storage-probe-job.js";
import { serverCertificate } from "../../components/lib/server-certificate.js";
import { tenantIds } from "../support/arbitraries.js";
import { image } from "../support/local-configuration.js";
import { isAllowed } from "../support/policy-evaluator.js";
import { attempts, BUCKET_OPERATIONS, KEYS, OBJECT_OPERATIONS, ROLE_MATRIX } from "../support/role-matrix.js";

const BUCKET = "videos";
const KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/1";
const tenants = ["acme", "acme-2"].map(parseTenantId);
const roles = bucketRoles({ bucket: BUCKET, tenants, probeAppliesLifecycle: true });
const roleNamed = (name: string) => roles.find((role) => role.name === name)!;

/** Every request of S3 to a bucket in TLS, with its key if it has one. */
const OVER_TLS = { "aws:SecureTransport": "true", "s3:TlsVersion": "1.3" };

type Attempt = Pick<ReturnType<typeof attempts>[number], "operation" | "where">;

function requestFor({ operation, where }: Attempt) {
  const bucket = `arn:aws:s3:::${BUCKET}`;
  if (operation === "list") {
    const prefix = KEYS[where!].replace(/[^/]+$/, "");
    return { action: "s3:ListBucket", resource: bucket, context: { ...OVER_TLS, "s3:prefix": prefix } };
  }
  return operation in BUCKET_OPERATIONS
    ? {
        action: BUCKET_OPERATIONS[operation as keyof typeof BUCKET_OPERATIONS],
        resource: bucket,
        context: OVER_TLS,
      }
    : {
        action: OBJECT_OPERATIONS[operation as keyof typeof OBJECT_OPERATIONS],
        resource: `${bucket}/${KEYS[where!]}`,
        context: OVER_TLS,
      };
}

describe("the policies of the bucket's roles", () => {
  it("are one for each tenant's worker, the uploader, the cleanup job and the probe", () => {
    expect(roles.map(({ name }) => name)).toEqual(Object.keys(ROLE_MATRIX));
  });

  it.each(Object.keys(ROLE_MATRIX))(
    "allow %s what it is for and nothing else, evaluated as AWS does",
    (name) => {
      const { policy } = roleNamed(name);
      const context = { bucket: BUCKET, region: "eu-west-1", keyArn: KEY_ARN };
      for (const documents of [
        [policy],
        [rolePolicy(roleNamed(name), context), bucketPolicy(BUCKET, KEY_ARN)],
      ]) {
        const found = attempts(name).map((attempt) => ({
          ...attempt,
          allowed: isAllowed(documents, requestFor(attempt)),
        }));
        expect(found).toEqual(attempts(name));
      }
    },
  );

  it("allow no tenant's worker anything of another tenant, however alike their ids", () => {
    const operations = [...Object.keys(OBJECT_OPERATIONS), "list"] as Attempt["operation"][];
    fc.assert(
      fc.property(tenantIds, tenantIds, fc.uuid({ version: 7 }), (mine, theirs, job) => {
        fc.pre(mine !== theirs);
        const [worker] = bucketRoles({ bucket: BUCKET, tenants: [mine], probeAppliesLifecycle: true });
        const prefix = jobPrefix(theirs, job as never);
        for (const operation of operations) {
          const { action, resource, context } = requestFor({ operation, where: "acme" });
          const theirsInstead = {
            action,
            resource: operation === "list" ? resource : `arn:aws:s3:::${BUCKET}/${prefix}source.mp4`,
            context: { ...context, ...(operation === "list" && { "s3:prefix": prefix }) },
          };
          expect(isAllowed([worker!.policy], theirsInstead)).toBe(false);
        }
      }),
    );
  });

  it("let nobody but the cleanup job release an object, not even with its first byte", () => {
    const put = (role: string, tag: Record<string, string>) =>
      isAllowed([roleNamed(role).policy], {
        action: "s3:PutObject",
        resource: `arn:aws:s3:::${BUCKET}/${KEYS.acme}`,
        context: tag,
      });
    const released = { [`s3:RequestObjectTag/${RELEASED_TAG.key}`]: RELEASED_TAG.value };
    expect([put("worker-acme", {}), put("worker-acme", released)]).toEqual([true, false]);
    expect(put("cleanup", released)).toBe(true);
  });

  it("take the lifecycle rules from the probe where the stack puts them", () => {
    const [probe] = bucketRoles({ bucket: BUCKET, tenants: [], probeAppliesLifecycle: false }).slice(-1);
    const request = (action: string) => ({ action, resource: `arn:aws:s3:::${BUCKET}` });
    expect(isAllowed([probe!.policy], request("s3:GetLifecycleConfiguration"))).toBe(true);
    expect(isAllowed([probe!.policy], request("s3:PutLifecycleConfiguration"))).toBe(false);
  });
});

describe("the key on AWS", () => {
  const use = (role: string, action: string, change: Record<string, string> = {}) =>
    isAllowed([rolePolicy(roleNamed(role), { bucket: BUCKET, region: "eu-west-1", keyArn: KEY_ARN })], {
      action,
      resource: KEY_ARN,
      context: {
        "kms:ViaService": "s3.eu-west-1.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": `arn:aws:s3:::${BUCKET}`,
        ...change,
      },
    });

  it.each([
    ["worker-acme", true, true],
    ["uploader", false, true],
    ["cleanup", true, true],
    ["probe", true, true],
  ])("lets %s write: %s, read: %s", (role, write, read) => {
    expect(use(role, "kms:GenerateDataKey")).toBe(write);
    expect(use(role, "kms:Decrypt")).toBe(read);
    expect(use(role, "kms:ScheduleKeyDeletion")).toBe(false);
  });

  it("is used through S3 of its region and for this bucket, whole or by object, and not otherwise", () => {
    const context = "kms:EncryptionContext:aws:s3:arn";
    expect(use("cleanup", "kms:Decrypt", { [context]: `arn:aws:s3:::${BUCKET}/tenants/acme/x` })).toBe(true);
    expect(use("cleanup", "kms:Decrypt", { [context]: `arn:aws:s3:::${BUCKET}-2` })).toBe(false);
    expect(use("cleanup", "kms:Decrypt", { "kms:ViaService": "s3.us-east-1.amazonaws.com" })).toBe(false);
  });

  it("stays manageable by its account", () => {
    expect(keyPolicy("123456789012").Statement).toEqual([
      {
        Sid: "AccountDecides",
        Effect: "Allow",
        Principal: { AWS: "arn:aws:iam::123456789012:root" },
        Action: ["kms:*"],
        Resource: ["*"],
      },
    ]);
  });
});

describe("the bucket's own policy on AWS", () => {
  const everything = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["*"], Resource: ["*"] }],
  };
  const allowed = (context: Record<string, string>, action = "s3:PutObject", resource = `${BUCKET}/x`) =>
    isAllowed([everything as never, bucketPolicy(BUCKET, KEY_ARN)], {
      action,
      resource: `arn:aws:s3:::${resource}`,
      context,
    });
  const algorithm = "s3:x-amz-server-side-encryption";
  const key = "s3:x-amz-server-side-encryption-aws-kms-key-id";

  it("denies even to who may do everything: requests in clear, and with an old TLS", () => {
    expect(allowed(OVER_TLS)).toBe(true);
    for (const [action, resource] of [
      ["s3:PutObject", `${BUCKET}/x`],
      ["s3:ListBucket", BUCKET],
    ] as const) {
      expect(allowed({ "aws:SecureTransport": "false" }, action, resource)).toBe(false);
      expect(allowed({ ...OVER_TLS, "s3:TlsVersion": "1.1" }, action, resource)).toBe(false);
      expect(allowed({ ...OVER_TLS, "s3:TlsVersion": "1.2" }, action, resource)).toBe(true);
    }
  });

  it.each([
    ["nothing said, which is the bucket's own", {}, true],
    ["the bucket's key, said", { [algorithm]: "aws:kms", [key]: KEY_ARN }, true],
    ["KMS without a key, which is the bucket's", { [algorithm]: "aws:kms" }, true],
    ["SSE-S3", { [algorithm]: "AES256" }, false],
    ["another key", { [algorithm]: "aws:kms", [key]: KEY_ARN.replace(/1$/, "2") }, false],
    ["a customer's key", { "s3:x-amz-server-side-encryption-customer-algorithm": "AES256" }, false],
  ])("of an object's encryption, %s is allowed: %j %s", (_what, context, expected) => {
    expect(allowed({ ...OVER_TLS, ...context })).toBe(expected);
  });

  it("opens nothing, to nobody", () => {
    const { Statement } = bucketPolicy(BUCKET, KEY_ARN);
    expect(Statement.map(({ Effect }) => Effect)).toEqual(Statement.map(() => "Deny"));
  });
});

describe("who may take a role on AWS", () => {
  const account = "123456789012";
  const irsa: AwsIdentity = {
    kind: "irsa",
    providerArn: `arn:aws:iam::${account}:oidc-provider/oidc.example.test/id/1`,
    issuer: "https://oidc.example.test/id/1",
  };
  const pod: AwsIdentity = { kind: "pod-identity", cluster: "example" };
  const place = { namespace: "jobs", name: "worker-acme" };
  const takes = (identity: AwsIdentity, action: string, context: Record<string, string>) =>
    isAllowed([trustPolicy(identity, account, place)], { action, resource: "*", context });

  it("with IRSA is the one ServiceAccount that the cluster's issuer vouches for", () => {
    const token = {
      "oidc.example.test/id/1:sub": "system:serviceaccount:jobs:worker-acme",
      "oidc.example.test/id/1:aud": "sts.amazonaws.com",
    };
    const action = "sts:AssumeRoleWithWebIdentity";
    expect(trustPolicy(irsa, account, place).Statement[0]!.Principal).toEqual({
      Federated: irsa.providerArn,
    });
    expect(takes(irsa, action, token)).toBe(true);
    for (const [name, value] of [
      ["sub", "system:serviceaccount:jobs:worker-globex"],
      ["sub", "system:serviceaccount:other:worker-acme"],
      ["aud", "kubernetes"],
    ])
      expect(takes(irsa, action, { ...token, [`oidc.example.test/id/1:${name}`]: value! })).toBe(false);
    expect(takes(irsa, "sts:AssumeRole", token)).toBe(false);
  });

  it("with EKS Pod Identity is the one ServiceAccount of the one cluster that the agent speaks for", () => {
    const session = {
      "aws:SourceAccount": account,
      "aws:RequestTag/eks-cluster-name": "example",
      "aws:RequestTag/kubernetes-namespace": "jobs",
      "aws:RequestTag/kubernetes-service-account": "worker-acme",
    };
    expect(takes(pod, "sts:AssumeRole", session)).toBe(true);
    for (const key of Object.keys(session))
      expect(takes(pod, "sts:AssumeRole", { ...session, [key]: "another" })).toBe(false);
  });

  it("has a name within IAM's 64 characters, one for each role", () => {
    const name = fc.string({ unit: fc.constantFrom(..."ab-1"), minLength: 3, maxLength: 63 });
    fc.assert(
      fc.property(name, tenantIds, tenantIds, (bucket, a, b) => {
        const [first, second] = [a, b].map((tenant) => awsRoleName(bucket, `worker-${tenant}`));
        expect(first!.length).toBeLessThanOrEqual(64);
        expect(first === second).toBe(a === b);
      }),
    );
  });
});

describe("the lifecycle rules", () => {
  const transition = { afterDays: 30, storageClass: "GLACIER_IR" };

  it("are these, in S3's words", () => {
    expect(lifecycleRules({ transition })).toEqual([
      {
        ID: "abort-unfinished-uploads",
        Status: "Enabled",
        Filter: { Prefix: "" },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 },
      },
      {
        ID: "expire-noncurrent-versions",
        Status: "Enabled",
        Filter: { Prefix: "" },
        NoncurrentVersionExpiration: { NoncurrentDays: 7 },
      },
      {
        ID: "remove-expired-delete-markers",
        Status: "Enabled",
        Filter: { Prefix: "" },
        Expiration: { ExpiredObjectDeleteMarker: true },
      },
      {
        ID: "expire-released-objects",
        Status: "Enabled",
        Filter: {
          And: { Prefix: "tenants/", Tags: [{ Key: "video-storage-lifecycle", Value: "released" }] },
        },
        Expiration: { Days: 1 },
      },
      {
        ID: "expire-probe-objects",
        Status: "Enabled",
        Filter: { Prefix: "probe/" },
        Expiration: { Days: 1 },
      },
      {
        ID: "transition-cold-objects",
        Status: "Enabled",
        Filter: { Prefix: "tenants/" },
        Transitions: [{ Days: 30, StorageClass: "GLACIER_IR" }],
      },
    ]);
  });

  it("expire nothing current of a tenant's that the cleanup job hasn't released, whatever is configured", () => {
    const days = fc.integer({ min: 1, max: 4000 });
    const configured = fc.record(
      {
        abortUnfinishedAfterDays: days,
        keepNoncurrentDays: days,
        expireReleasedAfterDays: days,
        transition: fc.record({
          afterDays: days,
          storageClass: fc.constantFrom("GLACIER_IR", "STANDARD_IA"),
        }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(configured, (args) => {
        for (const rule of lifecycleRules(args)) {
          const expires = rule.Expiration !== undefined && "Days" in rule.Expiration;
          // minio#12392: what may be transitioned is never under the same rule as what may be expired.
          expect(expires && rule.Transitions !== undefined).toBe(false);
          if (!expires) continue;
          const tagged =
            "And" in rule.Filter && rule.Filter.And.Tags.some(({ Key }) => Key === RELEASED_TAG.key);
          const elsewhere = "Prefix" in rule.Filter && rule.Filter.Prefix === "probe/";
          expect(tagged || elsewhere).toBe(true);
        }
      }),
    );
  });

  it("say the same in the provider's words", () => {
    expect(lifecycleRules({ transition }).map(awsLifecycleRule)).toEqual([
      {
        id: "abort-unfinished-uploads",
        status: "Enabled",
        filter: { prefix: "" },
        abortIncompleteMultipartUpload: { daysAfterInitiation: 2 },
      },
      {
        id: "expire-noncurrent-versions",
        status: "Enabled",
        filter: { prefix: "" },
        noncurrentVersionExpiration: { noncurrentDays: 7 },
      },
      {
        id: "remove-expired-delete-markers",
        status: "Enabled",
        filter: { prefix: "" },
        expiration: { expiredObjectDeleteMarker: true },
      },
      {
        id: "expire-released-objects",
        status: "Enabled",
        filter: { and: { prefix: "tenants/", tags: { "video-storage-lifecycle": "released" } } },
        expiration: { days: 1 },
      },
      {
        id: "expire-probe-objects",
        status: "Enabled",
        filter: { prefix: "probe/" },
        expiration: { days: 1 },
      },
      {
        id: "transition-cold-objects",
        status: "Enabled",
        filter: { prefix: "tenants/" },
        transitions: [{ days: 30, storageClass: "GLACIER_IR" }],
      },
    ]);
  });
});

describe("MinIO in the cluster", () => {
  const args = {
    environment: "test",
    namespace: "system",
    image: image("minio"),
    clientImage: image("mc"),
    nodeImage: image("probe"),
    guarded: true,
    claim: "c",
    serverSecret: "s",
    tlsSecret: "t",
    region: "us-east-1",
  };
  const { metadata, spec } = buildMinioServer(args, { secretsHash: "0123456789", keyId: "abcdef0123" }).spec
    .template;
  const [container] = spec.containers;

  it("is given its keys by file, and starts anew when they change", () => {
    expect(container!.env.filter(({ name }) => /ROOT|SECRET/.test(name))).toEqual([
      { name: "MINIO_ROOT_USER_FILE", value: "/run/secrets/object-storage-server/root-user" },
      { name: "MINIO_ROOT_PASSWORD_FILE", value: "/run/secrets/object-storage-server/root-password" },
      { name: "MINIO_KMS_SECRET_KEY_FILE", value: "/run/secrets/object-storage-server/kms-key" },
    ]);
    expect(metadata.annotations).toEqual({ "video-storage/secrets-hash": "0123456789" });
    expect(container!.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  });

  it("speaks TLS alone, with the certificate under the names that it looks for", () => {
    expect(minioEndpoint("system")).toBe("https://object-storage.system.svc:9000");
    expect(container!.args.slice(-3)).toEqual(["--certs-dir", "/run/secrets/object-storage-tls", "--quiet"]);
    expect(
      [container!.readinessProbe, container!.livenessProbe].map(({ httpGet }) => httpGet.scheme),
    ).toEqual(["HTTPS", "HTTPS"]);
    expect(spec.volumes).toContainEqual({
      name: "certificates",
      secret: {
        secretName: "t",
        defaultMode: 0o444,
        items: [
          { key: "tls.crt", path: "public.crt" },
          { key: "tls.key", path: "private.key" },
        ],
      },
    });
  });

  it("is set up without a key in any argument, and by no rule that the probe reads back", () => {
    const script = setupScript("https://object-storage:9000", "artifacts", roles);
    expect(script.split("\n").filter((line) => line.startsWith("client "))).toEqual([
      "client mb --ignore-existing store/artifacts",
      "client version enable store/artifacts",
      "client encrypt set sse-s3 store/artifacts",
      "client anonymous set none store/artifacts",
      "client admin user list store | while read -r _ name _; do",
    ]);
  });
});

describe("the probe's Job", () => {
  it("ends at once when a requirement isn't met, and is tried again when the endpoint is away", () => {
    const { spec } = buildProbeJob({ environment: "test", namespace: "s", image: image("p"), secret: "k" });
    expect([spec.backoffLimit, spec.activeDeadlineSeconds]).toEqual([0, 600]);
    expect(spec.podFailurePolicy.rules).toEqual([
      { action: "Ignore", onExitCodes: { containerName: "probe", operator: "In", values: [3] } },
      { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
    ]);
    expect(spec.template.spec.containers[0]!.terminationMessagePolicy).toBe("FallbackToLogsOnError");
  });

  it("has a Secret mounted only where there is one", () => {
    const volumes = (secret: string | null) =>
      buildProbeJob({ environment: "test", namespace: "s", image: image("p"), secret }).spec.template.spec
        .volumes;
    expect(volumes("k").map(({ name }) => name)).toEqual(["settings", "object-storage"]);
    expect(volumes(null).map(({ name }) => name)).toEqual(["settings"]);
  });
});

describe("the server's certificate", () => {
  const seeds = [1, 2].map((value) => Buffer.alloc(32, value).toString("base64")) as [string, string];
  const hosts = minioHosts("system");
  const make = (authoritySeed = seeds[0], serverSeed = seeds[1], names = hosts) =>
    serverCertificate({ authoritySeed, serverSeed, hosts: names });

  it("is the same to the last byte for the same seeds and names", async () => {
    expect(await make()).toEqual(await make());
  });

  it("is signed by its authority, for the server's names, and signs nothing itself", async () => {
    const made = await make();
    const [authority, server] = [made.authority, made.certificate].map((pem) => new X509Certificate(pem));
    expect(server!.verify(authority!.publicKey)).toBe(true);
    expect(server!.checkPrivateKey(createPrivateKey(made.key))).toBe(true);
    expect([authority!.ca, server!.ca]).toEqual([true, false]);
    for (const host of hosts.filter((name) => !/^[\d.]+$/.test(name)))
      expect(server!.checkHost(host)).toBe(host);
    expect(server!.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(server!.checkHost("object-storage.other.svc")).toBeUndefined();
  });

  it("changes with the server's seed, under an authority that stays", async () => {
    const [before, after] = [await make(), await make(seeds[0], Buffer.alloc(32, 3).toString("base64"))];
    expect(after.authority).toBe(before.authority);
    expect(after.key).not.toBe(before.key);
    const numbers = [before, after].map(({ certificate }) => new X509Certificate(certificate).serialNumber);
    expect(numbers[0]).not.toBe(numbers[1]);
    expect(
      new X509Certificate(after.certificate).verify(new X509Certificate(before.authority).publicKey),
    ).toBe(true);
  });

  it("is accepted in a handshake by who trusts the authority, and by nobody else", async () => {
    const made = await make(randomBytes(32).toString("base64"));
    const other = await make(randomBytes(32).toString("base64"));
    const server = createServer({ cert: made.certificate, key: made.key }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const handshake = (ca: string, servername: string) =>
      new Promise((resolve) => {
        const socket = connect({ port, host: "127.0.0.1", ca, servername }, () => {
          socket.end();
          resolve("trusted");
        });
        socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
      });
    try {
      expect(await handshake(made.authority, hosts[0]!)).toBe("trusted");
      expect(await handshake(made.authority, "elsewhere.test")).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
      expect(await handshake(other.authority, hosts[0]!)).not.toBe("trusted");
    } finally {
      server.close();
    }
  });

  it("isn't made from a seed of another length", async () => {
    await expect(make("c2hvcnQ=")).rejects.toThrow("a seed of 32 bytes in base 64, and this one has 5");
  });
});
