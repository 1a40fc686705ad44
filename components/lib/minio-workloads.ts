import { readFileSync } from "node:fs";

import { REPLACE_UNREADY, SKIP_AWAIT } from "./annotations.js";
import { labels, selectorLabels } from "./labels.js";
import { claimVolume, configMapVolume, secretVolume } from "./mounts.js";
import { SETUP_DIRECTORY, SETUP_SECRETS } from "./object-storage-setup.js";
import { containerSecurity, OBJECT_STORAGE_USER, podSecurity, SETUP_USER } from "./security-context.js";

export const OBJECT_STORAGE_PORT = 9000;
export const OBJECT_STORAGE_SERVICE = "object-storage";
const SERVER_SECRETS = "/run/secrets/object-storage-server";
const CERTIFICATES = "/run/secrets/object-storage-tls";
const DATA = "/data";
const VOLUME_PROGRAM = readFileSync(new URL("./minio-volume-program.mjs", import.meta.url), "utf8");

export interface MinioWorkloadArgs {
  readonly environment: string;
  /** Namespace of the server; no worker runs in it. */
  readonly namespace: string;
  readonly image: string;
  /** Image with `mc` and a shell. */
  readonly clientImage: string;
  /** Image with Node.js on its PATH. */
  readonly nodeImage: string;
  /** Whether the objects are to outlive a stack that is destroyed; else its successor empties their volume. */
  readonly guarded: boolean;
  /** Claim that holds the objects. */
  readonly claim: string;
  /** Secret with `root-user`, `root-password` and `kms-key`. */
  readonly serverSecret: string;
  /** Secret with the server's `tls.crt` and `tls.key`; a renewed one is taken up without a restart. */
  readonly tlsSecret: string;
  readonly region: string;
}

/** The URL inside the cluster. */
export function minioEndpoint(namespace: string): string {
  return `https://${OBJECT_STORAGE_SERVICE}.${namespace}.svc:${OBJECT_STORAGE_PORT}`;
}

/** Every name that the server is reached by, for its certificate; the first is the one of {@link minioEndpoint}. */
export function minioHosts(namespace: string): string[] {
  const inNamespace = `${OBJECT_STORAGE_SERVICE}.${namespace}`;
  return [
    `${inNamespace}.svc`,
    OBJECT_STORAGE_SERVICE,
    inNamespace,
    `${inNamespace}.svc.cluster.local`,
    "localhost",
    "127.0.0.1",
  ];
}

export function buildMinioService(args: MinioWorkloadArgs) {
  return {
    metadata: {
      name: OBJECT_STORAGE_SERVICE,
      namespace: args.namespace,
      labels: labels(args.environment, "object-storage"),
      // The engine waits for a Service until it has endpoints, and the server comes after its Service.
      annotations: { ...SKIP_AWAIT },
    },
    spec: {
      selector: selectorLabels(args.environment, "object-storage"),
      ports: [{ name: "s3", port: OBJECT_STORAGE_PORT, targetPort: OBJECT_STORAGE_PORT, protocol: "TCP" }],
    },
  };
}

/**
 * `secretsHash` changes with the server's keys: it reads them when it starts, and never again. `keyId` tells the key
 * that encrypts objects from every other, and says nothing else of it.
 */
export function buildMinioServer<Hash>(
  args: MinioWorkloadArgs,
  { secretsHash, keyId }: { secretsHash: Hash; keyId: Hash },
) {
  const podLabels = labels(args.environment, "object-storage");
  return {
    metadata: { name: "object-storage", namespace: args.namespace, labels: podLabels },
    spec: {
      replicas: 1,
      serviceName: OBJECT_STORAGE_SERVICE,
      selector: { matchLabels: selectorLabels(args.environment, "object-storage") },
      template: {
        metadata: { labels: podLabels, annotations: { "video-storage/secrets-hash": secretsHash } },
        spec: {
          serviceAccountName: "object-storage",
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 30,
          securityContext: podSecurity(OBJECT_STORAGE_USER, { fsGroup: OBJECT_STORAGE_USER }),
          initContainers: [buildVolumeCheck(args, keyId)],
          containers: [
            {
              name: "minio",
              image: args.image,
              imagePullPolicy: "IfNotPresent",
              command: ["minio"],
              args: [
                "server",
                DATA,
                "--address",
                `:${OBJECT_STORAGE_PORT}`,
                "--certs-dir",
                CERTIFICATES,
                "--quiet",
              ],
              env: [
                { name: "MINIO_ROOT_USER_FILE", value: `${SERVER_SECRETS}/root-user` },
                { name: "MINIO_ROOT_PASSWORD_FILE", value: `${SERVER_SECRETS}/root-password` },
                { name: "MINIO_KMS_SECRET_KEY_FILE", value: `${SERVER_SECRETS}/kms-key` },
                { name: "MINIO_REGION", value: args.region },
                { name: "MINIO_BROWSER", value: "off" },
                { name: "MINIO_UPDATE", value: "off" },
                // Its own state goes where the read-only root allows it.
                { name: "HOME", value: "/tmp" },
              ],
              ports: [{ name: "s3", containerPort: OBJECT_STORAGE_PORT, protocol: "TCP" }],
              readinessProbe: {
                httpGet: { path: "/minio/health/ready", port: OBJECT_STORAGE_PORT, scheme: "HTTPS" },
                periodSeconds: 2,
                failureThreshold: 3,
              },
              livenessProbe: {
                httpGet: { path: "/minio/health/live", port: OBJECT_STORAGE_PORT, scheme: "HTTPS" },
                initialDelaySeconds: 10,
                periodSeconds: 20,
                failureThreshold: 5,
              },
              resources: {
                requests: { cpu: "100m", memory: "256Mi", "ephemeral-storage": "16Mi" },
                limits: { memory: "1Gi", "ephemeral-storage": "128Mi" },
              },
              securityContext: containerSecurity(),
              volumeMounts: [
                { name: "data", mountPath: DATA },
                { name: "secrets", mountPath: SERVER_SECRETS, readOnly: true },
                { name: "certificates", mountPath: CERTIFICATES, readOnly: true },
                { name: "tmp", mountPath: "/tmp" },
              ],
            },
          ],
          volumes: [
            claimVolume("data", args.claim),
            secretVolume("secrets", args.serverSecret),
            secretVolume("certificates", args.tlsSecret, {
              "tls.crt": "public.crt",
              "tls.key": "private.key",
            }),
            { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
          ],
        },
      },
    },
  };
}

/** Lets the server start only where it can decrypt what lies on the volume. */
function buildVolumeCheck<Hash>(args: MinioWorkloadArgs, keyId: Hash) {
  return {
    name: "volume",
    image: args.nodeImage,
    imagePullPolicy: "IfNotPresent",
    command: ["node", "--input-type=module", "-e", VOLUME_PROGRAM],
    env: [
      { name: "DIRECTORY", value: DATA },
      { name: "OWNER", value: `${args.environment}/${args.namespace}` },
      { name: "KEY_ID", value: keyId },
      { name: "GUARDED", value: String(args.guarded) },
    ],
    terminationMessagePolicy: "FallbackToLogsOnError",
    resources: {
      requests: { cpu: "1m", memory: "32Mi", "ephemeral-storage": "1Mi" },
      limits: { memory: "128Mi", "ephemeral-storage": "16Mi" },
    },
    securityContext: containerSecurity(),
    volumeMounts: [{ name: "data", mountPath: DATA }],
  };
}

/** The set-up as a Job; `hash` in its name, because a Job can't be changed, only replaced. */
export function buildSetupJob(args: MinioWorkloadArgs, names: { configMap: string; secret: string }) {
  const podLabels = labels(args.environment, "object-storage-setup");
  return {
    metadata: { namespace: args.namespace, labels: podLabels, annotations: REPLACE_UNREADY },
    spec: {
      backoffLimit: 3,
      activeDeadlineSeconds: 300,
      template: {
        metadata: { labels: podLabels },
        spec: {
          restartPolicy: "Never",
          serviceAccountName: "object-storage-setup",
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: podSecurity(SETUP_USER),
          containers: [
            {
              name: "setup",
              image: args.clientImage,
              imagePullPolicy: "IfNotPresent",
              command: ["/bin/sh", `${SETUP_DIRECTORY}/setup.sh`],
              env: [{ name: "HOME", value: "/work" }],
              resources: {
                requests: { cpu: "50m", memory: "64Mi", "ephemeral-storage": "16Mi" },
                limits: { memory: "256Mi", "ephemeral-storage": "64Mi" },
              },
              securityContext: containerSecurity(),
              volumeMounts: [
                { name: "setup", mountPath: SETUP_DIRECTORY, readOnly: true },
                { name: "secrets", mountPath: SETUP_SECRETS, readOnly: true },
                { name: "work", mountPath: "/work" },
              ],
            },
          ],
          volumes: [
            configMapVolume("setup", names.configMap),
            secretVolume("secrets", names.secret),
            { name: "work", emptyDir: { sizeLimit: "16Mi" } },
          ],
        },
      },
    },
  };
}
