import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { OBJECT_STORAGE_CA_KEY } from "@video-storage/contract/stack-contract";

import type { BucketRole } from "./bucket-policies.js";
import { buildClaim } from "./claims.js";
import { contentNamed, hashOf } from "./content-named-job.js";
import { labels } from "./labels.js";
import type { Role } from "./labels.js";
import { minioIdentities } from "./minio-identities.js";
import {
  buildMinioServer,
  buildMinioService,
  buildSetupJob,
  minioEndpoint,
  minioHosts,
} from "./minio-workloads.js";
import type { MinioWorkloadArgs } from "./minio-workloads.js";
import { IDENTITIES_FILE, setupScript } from "./object-storage-setup.js";
import { base64Values } from "./secret-data.js";
import { serverCertificate } from "./server-certificate.js";
import { buildStorageQuota } from "./storage-quota.js";

/** MinIO in the cluster. What uses the bucket sees S3 alone, so that another backing can take its place. */
export interface MinioBacking {
  readonly kind: "minio";
  /** The server's image, by digest: upstream publishes no more, so whose build it is must be a choice. */
  readonly image: string;
  /** An image with `mc` and a shell, by digest. */
  readonly clientImage: string;
  /** Name of the class of the server's claim. */
  readonly storageClass: string;
  /** The PersistentVolume that is kept for the objects; null where the class makes one. */
  readonly volume: string | null;
  /** Size of that claim. */
  readonly volumeBytes: bigint;
  /** Raised to replace every credential and the server's certificate. The key that encrypts objects is never replaced. */
  readonly credentialRotation: number;
  /**
   * The key that encrypts objects, 32 bytes in base 64. Default: one that is generated once and kept in the stack's
   * encrypted state. The server refuses a volume whose objects are another key's.
   */
  readonly key?: pulumi.Input<string>;
  /** Default: a certificate of an authority of the stack's own. */
  readonly tls?: MinioCertificate;
}

/** Where the server's certificate comes from. */
export type MinioCertificate =
  | { readonly source: "generated" }
  | {
      /** A Secret in the system namespace with `tls.crt` and `tls.key` that somebody else keeps, such as cert-manager. */
      readonly source: "secret";
      readonly secret: string;
      /** PEM of the authorities that signed it; null for public ones. */
      readonly authorities: string | null;
    };

export interface MinioBucketArgs {
  readonly environment: string;
  readonly systemNamespace: string;
  readonly bucket: string;
  readonly region: string;
  /** An image with Node.js on its PATH. */
  readonly probeImage: string;
  readonly backing: MinioBacking;
  readonly roles: readonly (BucketRole & { readonly secret: { namespace: string; name: string } })[];
  readonly protectData: boolean;
}

/** The claim that holds the objects. */
export const OBJECT_STORAGE_CLAIM = "object-storage";
const SERVER_SECRET = "object-storage-server";
const TLS_SECRET = "object-storage-tls";
const ROOT_USER = "root-of-object-storage";
const SETUP = "object-storage-setup";

type Child = (own?: pulumi.CustomResourceOptions) => pulumi.CustomResourceOptions;

/**
 * Declares the server on its claim, what sets it up, and a Secret with the credentials of each role; returns what
 * whoever uses the bucket must wait for, and what identifies those credentials.
 */
export function declareMinioBucket(
  parent: pulumi.ComponentResource,
  name: string,
  args: MinioBucketArgs,
  child: Child,
): { ready: pulumi.Resource[]; credentials: pulumi.Output<unknown> } {
  const { environment, systemNamespace, backing } = args;
  const metadata = (objectName: string, namespace = systemNamespace, role: Role = "object-storage") => ({
    name: objectName,
    namespace,
    labels: labels(environment, role),
  });
  const keepers = { rotation: String(backing.credentialRotation) };
  const password = (role: string) =>
    new random.RandomPassword(
      `${name}-${role}-password`,
      { length: 40, special: false, keepers },
      { parent },
    );

  const rootPassword = password("root");
  // Without this key every object is lost, so nothing that rotates may replace it.
  const generatedKey = new random.RandomBytes(
    `${name}-kms-key`,
    { length: 32 },
    { parent, protect: args.protectData, ignoreChanges: ["keepers", "length"] },
  );
  const key = backing.key === undefined ? generatedKey.base64 : pulumi.secret(backing.key);
  const serverSecrets = {
    "root-user": ROOT_USER,
    "root-password": rootPassword.result,
    "kms-key": pulumi.interpolate`video-storage:${key}`,
  };
  const serverSecret = new k8s.core.v1.Secret(
    `${name}-server`,
    { metadata: metadata(SERVER_SECRET), stringData: serverSecrets },
    child(),
  );
  const tls = certificate(parent, name, args, child);
  const quota = new k8s.core.v1.ResourceQuota(
    `${name}-quota`,
    buildStorageQuota({
      environment,
      role: "object-storage",
      namespace: systemNamespace,
      name: "object-storage",
      storageClass: backing.storageClass,
      claims: 1,
      bytes: backing.volumeBytes,
    }),
    child(),
  );
  const claim = new k8s.core.v1.PersistentVolumeClaim(
    `${name}-claim`,
    buildClaim({
      environment,
      role: "object-storage",
      namespace: systemNamespace,
      name: OBJECT_STORAGE_CLAIM,
      storageClass: backing.storageClass,
      ...(backing.volume !== null && { volume: backing.volume }),
      bytes: backing.volumeBytes,
    }),
    // A claim that is replaced is a bucket that is lost.
    child({ protect: args.protectData, retainOnDelete: args.protectData, dependsOn: [quota] }),
  );

  const workload: MinioWorkloadArgs = {
    environment,
    namespace: systemNamespace,
    image: backing.image,
    clientImage: backing.clientImage,
    nodeImage: args.probeImage,
    guarded: args.protectData,
    claim: OBJECT_STORAGE_CLAIM,
    serverSecret: SERVER_SECRET,
    tlsSecret: tls.secret,
    region: args.region,
  };
  const service = new k8s.core.v1.Service(`${name}-service`, buildMinioService(workload), child());
  const server = new k8s.apps.v1.StatefulSet(
    `${name}-server`,
    buildMinioServer(workload, { secretsHash: hashOf([serverSecrets]), keyId: hashOf([key]) }),
    child({ dependsOn: [serverSecret, ...tls.ready, claim, service] }),
  );

  const secretKeys = Object.fromEntries(args.roles.map((role) => [role.name, password(role.name).result]));
  const authorities = tls.authorities === null ? {} : { [OBJECT_STORAGE_CA_KEY]: tls.authorities };
  const setupFiles = { "setup.sh": setupScript(minioEndpoint(systemNamespace), args.bucket, args.roles) };
  const setupSecrets = { "root-user": ROOT_USER, "root-password": rootPassword.result, ...authorities };
  // All of it as data, which the archive has to be: providers have lost one of the two beside each other
  // (pulumi/pulumi-kubernetes#2514).
  const setupData = pulumi.secret(
    pulumi.all([setupSecrets, secretKeys] as const).apply(([texts, keys]) => ({
      ...base64Values(texts),
      [IDENTITIES_FILE]: minioIdentities(args.roles, keys),
    })),
  );
  const setupMetadata = metadata(SETUP, systemNamespace, "object-storage-setup");
  const setupConfig = new k8s.core.v1.ConfigMap(
    `${name}-setup`,
    { metadata: setupMetadata, data: setupFiles },
    child(),
  );
  const setupSecret = new k8s.core.v1.Secret(
    `${name}-setup`,
    { metadata: setupMetadata, data: setupData },
    child(),
  );
  const job = buildSetupJob(workload, { configMap: SETUP, secret: SETUP });
  const setup = new k8s.batch.v1.Job(
    `${name}-setup`,
    {
      metadata: {
        ...job.metadata,
        name: contentNamed(SETUP, [job.spec, setupFiles, setupData]),
      },
      spec: job.spec,
    },
    child({ dependsOn: [server, setupConfig, setupSecret] }),
  );
  const secrets = args.roles.map(
    (role) =>
      new k8s.core.v1.Secret(
        `${name}-${role.name}`,
        {
          metadata: metadata(role.secret.name, role.secret.namespace, role.component),
          stringData: {
            accessKeyId: role.name,
            secretAccessKey: secretKeys[role.name]!,
            ...authorities,
          },
        },
        // Whoever finds the credentials finds them working.
        child({ dependsOn: [setup] }),
      ),
  );
  return { ready: [setup, ...secrets], credentials: pulumi.output({ ...setupSecrets, ...secretKeys }) };
}

/** The Secret with the server's certificate, and what it is checked against. */
function certificate(
  parent: pulumi.ComponentResource,
  name: string,
  { environment, systemNamespace, backing, protectData }: MinioBucketArgs,
  child: Child,
): { secret: string; authorities: pulumi.Input<string> | null; ready: pulumi.Resource[] } {
  const { tls = { source: "generated" } } = backing;
  if (tls.source === "secret") return { secret: tls.secret, authorities: tls.authorities, ready: [] };
  const seed = (of: string, opts: pulumi.CustomResourceOptions, keepers?: Record<string, string>) =>
    new random.RandomBytes(
      `${name}-${of}-seed`,
      { length: 32, ...(keepers && { keepers }) },
      { parent, ...opts },
    ).base64;
  // Whoever trusts the authority goes on doing so when the server's key is replaced.
  const authoritySeed = seed("tls-authority", { protect: protectData, ignoreChanges: ["keepers", "length"] });
  const serverSeed = seed("tls-server", {}, { rotation: String(backing.credentialRotation) });
  const made = pulumi.secret(
    pulumi.all([authoritySeed, serverSeed]).apply(([authority, server]) =>
      serverCertificate({
        authoritySeed: authority,
        serverSeed: server,
        hosts: minioHosts(systemNamespace),
      }),
    ),
  );
  const authorities = pulumi.unsecret(made.apply(({ authority }) => authority));
  const secret = new k8s.core.v1.Secret(
    `${name}-tls`,
    {
      metadata: {
        name: TLS_SECRET,
        namespace: systemNamespace,
        labels: labels(environment, "object-storage"),
      },
      type: "kubernetes.io/tls",
      stringData: {
        "tls.crt": made.apply(({ certificate: pem }) => pem),
        "tls.key": made.apply(({ key }) => key),
        [OBJECT_STORAGE_CA_KEY]: authorities,
      },
    },
    child(),
  );
  return { secret: TLS_SECRET, authorities, ready: [secret] };
}
