import { CreateMultipartUploadCommand, HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RELEASED_TAG } from "@video-storage/contract/object-storage-capabilities";
import { parseProbeSettings } from "@video-storage/object-storage-probe/settings";
import { applyLifecycle } from "@video-storage/object-storage-probe/lifecycle";
import { objectStorageClient } from "@video-storage/worker/object-storage";
import { lifecycleRules } from "../../components/lib/object-lifecycle.js";
import { setUp } from "../support/bucket-roles.js";
import { attempts, KEYS, ROLE_MATRIX } from "../support/role-matrix.js";
import { tryIt } from "../support/role-attempts.js";
import { startMinio } from "../support/s3-servers.js";
import type { S3Server } from "../support/s3-servers.js";

const BUCKET = "videos";
const TENANTS = ["acme", "acme-2"];

let server: S3Server;
let administrator: S3Client;
let secrets: Record<string, string>;
const clients: S3Client[] = [];

function clientOf(accessKeyId: string, secretAccessKey: string): S3Client {
  const { endpoint, caFile } = server;
  const settings = { endpoint, region: "us-east-1", bucket: BUCKET, forcePathStyle: true, caFile };
  const client = objectStorageClient(settings, { accessKeyId, secretAccessKey });
  clients.push(client);
  return client;
}

beforeAll(async () => {
  server = await startMinio();
  administrator = clientOf(server.administrator.accessKeyId, server.administrator.secretAccessKey);
  ({ secrets } = await setUp(server, BUCKET, TENANTS));
  const settings = parseProbeSettings({
    ...{ version: 1, encryption: null, report: null, required: { capabilities: [], rules: [] } },
    objectStorage: { endpoint: server.endpoint, region: "us-east-1", bucket: BUCKET, forcePathStyle: true },
    lifecycle: { mode: "apply", rules: lifecycleRules({}) },
  });
  await applyLifecycle(administrator, BUCKET, settings.lifecycle.rules);
}, 300_000);
afterAll(async () => {
  clients.forEach((client) => client.destroy());
  await server?.stop();
});

describe.each(Object.keys(ROLE_MATRIX))("on a real MinIO, %s", (role) => {
  it("may do what its role is for, and nothing else", async () => {
    const client = clientOf(role, secrets[role]!);
    const found = [];
    for (const attempt of attempts(role))
      found.push({ ...attempt, allowed: await tryIt(client, administrator, BUCKET, attempt) });
    expect(found).toEqual(attempts(role));
  });
});

describe("on a real MinIO", () => {
  it("a worker is told that an object isn't there, and doesn't take it for forbidden", async () => {
    const worker = clientOf("worker-acme", secrets["worker-acme"]!);
    const missing = worker.send(
      new HeadObjectCommand({ Bucket: BUCKET, Key: "tenants/acme/jobs/1/none.mp4" }),
    );
    await expect(missing).rejects.toMatchObject({ $metadata: { httpStatusCode: 404 } });
  });

  it("a worker can't put an object that is released from the first", async () => {
    const worker = clientOf("worker-acme", secrets["worker-acme"]!);
    const Tagging = `${RELEASED_TAG.key}=${RELEASED_TAG.value}`;
    const object = { Bucket: BUCKET, Key: KEYS.acme, Tagging };
    const put = worker.send(new PutObjectCommand({ ...object, Body: "x" }));
    await expect(put).rejects.toMatchObject({ name: "AccessDenied" });
    const inParts = worker.send(new CreateMultipartUploadCommand(object));
    await expect(inParts).rejects.toMatchObject({ name: "AccessDenied" });
  });

  it("the set-up run again keeps who is declared, changes their keys, and drops who isn't", async () => {
    const before = secrets;
    const again = await setUp(server, BUCKET, ["acme"]);
    const tried = (role: string, secret: string) =>
      tryIt(clientOf(role, secret), administrator, BUCKET, { operation: "read", where: "acme" });
    expect(again.output).toContain("is ready for 4 users");
    expect(await tried("worker-acme", again.secrets["worker-acme"]!)).toBe(true);
    await expect(tried("worker-acme", before["worker-acme"]!)).rejects.toThrow(/signature/);
    await expect(tried("worker-acme-2", before["worker-acme-2"]!)).rejects.toThrow(/[Aa]ccess [Kk]ey/);
  });

  it("the set-up fails when the server refuses a key", async () => {
    const attempt = setUp(server, BUCKET, ["acme"], { uploader: "short" });
    await expect(attempt).rejects.toThrow(/the set-up ended with 1:[^]*the server didn't take every user/);
  });
});
