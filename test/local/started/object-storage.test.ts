import { request } from "node:http";

import { DeleteObjectCommand, ListObjectVersionsCommand } from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import { BatchV1Api, RbacAuthorizationV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CAPABILITIES_ANNOTATION,
  CAPABILITIES_CONFIG_MAP,
  CAPABILITIES_KEY,
  objectStorageDuties,
  parseObjectStorageCapabilities,
} from "@video-storage/contract/object-storage-capabilities";
import type { ObjectStorageCapabilities } from "@video-storage/contract/object-storage-capabilities";

import { clientOfCluster } from "../../support/cluster-object-storage.js";
import { attempts, KEYS, ROLE_MATRIX } from "../../support/role-matrix.js";
import { tryIt } from "../../support/role-attempts.js";
import { runningEnvironment } from "../../support/running-environment.js";
import type { RunningEnvironment } from "../../support/running-environment.js";

let environment: RunningEnvironment;
let report: ObjectStorageCapabilities;
const clients: S3Client[] = [];

async function as(role: string): Promise<{ client: S3Client; bucket: string; address: string }> {
  const { core, contract, systemNamespace } = environment;
  const namespace = role === "probe" ? systemNamespace : contract.namespace;
  const found = await clientOfCluster(core, contract, { namespace, name: `object-storage-${role}` });
  clients.push(found.client);
  return found;
}

beforeAll(async () => {
  environment = await runningEnvironment();
  const { core, contract } = environment;
  const { data } = await core.readNamespacedConfigMap({
    namespace: contract.namespace,
    name: CAPABILITIES_CONFIG_MAP,
  });
  report = parseObjectStorageCapabilities(JSON.parse(data![CAPABILITIES_KEY]!));
});
afterAll(async () => {
  const [cleanup, probe] = [await as("cleanup"), await as("probe")];
  for (const Key of [KEYS.acme, KEYS["acme-2"]])
    await cleanup.client.send(new DeleteObjectCommand({ Bucket: cleanup.bucket, Key }));
  await probe.client.send(new DeleteObjectCommand({ Bucket: probe.bucket, Key: KEYS.probe }));
  clients.forEach((client) => client.destroy());
});

describe("the deployment's probe", () => {
  it("found on the deployed server what is required of it, and what it leaves to the cleanup job", () => {
    const missing = Object.entries(report.capabilities).filter(([, { held }]) => !held);
    expect(missing.map(([name, { required }]) => [name, required])).toEqual([
      ["list-unfinished-uploads", false],
    ]);
    expect(report.endpoint).toBe("https://object-storage.video-storage.svc:9000");
    expect(objectStorageDuties(report)).toEqual({
      abortUnfinishedUploads: true,
      removeNoncurrentVersions: false,
      removeReleasedObjects: false,
    });
  });

  it("left the same on its Job, for the stack to report", async () => {
    const { items } = await environment
      .api(BatchV1Api)
      .listNamespacedJob({ namespace: environment.systemNamespace });
    const job = items.find(({ metadata }) => metadata!.name!.startsWith("object-storage-probe-"))!;
    expect(job.status!.succeeded).toBe(1);
    expect(JSON.parse(job.metadata!.annotations![CAPABILITIES_ANNOTATION]!)).toEqual(report);
  });

  it("may change that ConfigMap and that Job, and nothing else", async () => {
    const { items } = await environment
      .api(RbacAuthorizationV1Api)
      .listRoleForAllNamespaces({ labelSelector: "app.kubernetes.io/component=object-storage-probe" });
    const rules = items.map(({ metadata, rules: [rule, ...others] = [] }) => {
      const { resources, resourceNames, verbs } = rule!;
      return [metadata!.namespace, resources, resourceNames!.map((name) => name.slice(0, 20)), verbs, others];
    });
    expect(rules.sort()).toEqual([
      ["video-jobs", ["configmaps"], ["object-storage-capab"], ["patch"], []],
      ["video-storage", ["jobs"], ["object-storage-probe"], ["patch"], []],
    ]);
  });

  it("left nothing of its own in the bucket", async () => {
    const { client, bucket } = await as("probe");
    const { Versions = [], DeleteMarkers = [] } = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: "probe/" }),
    );
    expect([...Versions, ...DeleteMarkers].filter(({ Key }) => Key !== KEYS.probe)).toEqual([]);
  });
});

describe("the deployed server", () => {
  it("answers nobody who doesn't speak TLS", async () => {
    const { address } = await as("uploader");
    const status = await new Promise((resolve, reject) => {
      request(`http://${address}/minio/health/live`, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .once("error", reject)
        .end();
    });
    expect(status).toBe(400);
  });

  // The other tenant here is globex, which the keys of the matrix don't name.
  const roles = Object.keys(ROLE_MATRIX).filter((role) => role !== "worker-acme-2");

  it.each(roles)("allows %s what its role is for, and nothing else", async (role) => {
    const { client, bucket } = await as(role);
    // What is tried is there already, put by those who may: nobody here is the server's administrator.
    const writer = (await as("cleanup")).client;
    const prober = (await as("probe")).client;
    const tried = attempts(role).filter(({ where, operation }) => {
      const isThere = where !== "stray" || operation === "list" || operation === "write";
      return isThere && operation !== "destroy";
    });
    const found = [];
    for (const attempt of tried) {
      const owner = attempt.where === null || attempt.where === "probe" ? prober : writer;
      const allowed = await tryIt(client, owner, bucket, attempt, { there: attempt.where !== "stray" });
      found.push({ ...attempt, allowed });
    }
    expect(found).toEqual(tried);
  });
});
