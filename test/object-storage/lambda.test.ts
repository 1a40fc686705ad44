import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { pathToFileURL } from "node:url";
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { parseTenantId } from "@video-storage/contract/identity";
import { jobPrefix } from "@video-storage/contract/layout";
import type { LambdaContext, LambdaResult } from "../../cleanup-job/src/lambda.js";
import { HEARTBEAT_TIMEOUT, RETENTION, startWorld } from "../cleanup-job/world.js";
import type { Volume, World } from "../cleanup-job/world.js";

/** The function as it is deployed, on a directory; Postgres and the S3 server are real, Secrets Manager answers on loopback. */

const endpoint = process.env["TEST_S3_ENDPOINT"]!;
const tenantId = parseTenantId("acme");

let world: World;
let volume: Volume;
let bucket: string;
let s3: S3Client;
let secrets: Server;
let handler: (event: unknown, context: LambdaContext) => Promise<LambdaResult>;
let asked: { url: string; token: string }[];
let secret: string;
const app = fs.mkdtempSync(`${tmpdir()}/cleanup-lambda-`);

beforeAll(async () => {
  execFileSync(process.execPath, ["cleanup-job/build-lambda.mjs", "--out", `${app}/function`]);
  const loaded = (await import(pathToFileURL(`${app}/function/lambda.mjs`).href)) as {
    handler: typeof handler;
  };
  handler = loaded.handler;
  world = await startWorld();
  const credentials = { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" };
  s3 = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  secrets = createServer((request, response) => {
    asked.push({ url: request.url!, token: String(request.headers["x-aws-parameters-secrets-token"]) });
    response.end(JSON.stringify({ SecretString: secret }));
  });
  await new Promise<void>((resolve) => secrets.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  s3?.destroy();
  secrets?.close();
  await world?.stop();
  fs.rmSync(app, { recursive: true });
});
beforeEach(async () => {
  asked = [];
  bucket = `lambda-${randomUUID()}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  volume = await world.newVolume();
  const login = volume.catalogue.settings("cleanup");
  secret = JSON.stringify({ username: login.user, password: login.password });
  const { host, port, database } = login;
  vi.stubEnv("AWS_ACCESS_KEY_ID", "minioadmin");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "minioadmin");
  vi.stubEnv("AWS_SESSION_TOKEN", "");
  vi.stubEnv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", String((secrets.address() as AddressInfo).port));
  vi.stubEnv(
    "VIDEO_STORAGE_CATALOGUE_SECRET",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:catalogue",
  );
  vi.stubEnv("VIDEO_STORAGE_VOLUMES", JSON.stringify([{ name: volume.name, path: volume.root }]));
  configure({ catalogue: { host, port, database, tls: false } });
  return () => vi.unstubAllEnvs();
});

let settings: Record<string, unknown>;
function configure(changes: Record<string, unknown>): void {
  const marks = { highWaterPercent: 100, lowWaterPercent: 99 };
  settings = {
    ...{ version: 1, retention: RETENTION, heartbeatTimeoutSeconds: HEARTBEAT_TIMEOUT, namespace: "none" },
    ...{ pressure: { bytes: marks, inodes: marks }, checkPods: false },
    objectStorage: { endpoint, region: "us-east-1", bucket, forcePathStyle: true, credentials: "ambient" },
    ...settings,
    ...changes,
  };
  vi.stubEnv("VIDEO_STORAGE_CLEANUP_CONFIG", JSON.stringify(settings));
}
const invocation = (milliseconds = 900_000): LambdaContext => ({
  ...{ awsRequestId: "request-1", functionName: "cleanup", getRemainingTimeInMillis: () => milliseconds },
});

describe("the Lambda function", () => {
  beforeEach(() => {
    settings = { ...settings, objectStorage: { ...(settings["objectStorage"] as object), bucket } };
    configure({ catalogue: settings["catalogue"] });
  });

  it("deletes, tiers and abandons what is due on the mount, and looks after the bucket", async () => {
    const uploaded = await volume.addJob({ state: "uploaded", age: 1000 });
    const completed = await volume.addJob({ state: "completed", age: 1000 });
    const active = await volume.addJob({ state: "active" });
    const silent = await volume.addJob({ state: "active", heartbeatAge: 100 });
    const result = await handler({}, invocation());
    expect(result.volumes[volume.name]).toMatchObject({ deleted: 1, tiered: 1, abandoned: 1, failed: 0 });
    expect(result.janitor).toMatchObject({ result: "ok", listedObjects: 2 });
    expect(volume.jobs()).toEqual([active, silent].sort());
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    expect(Contents.every(({ Key }) => Key!.startsWith(jobPrefix(tenantId, completed)))).toBe(true);
    expect((await volume.audit()).filter(({ job }) => job === uploaded)).toMatchObject([
      { phase: "intent", actor: "cleanup request-1" },
      { phase: "outcome", actor: "cleanup request-1" },
    ]);
    expect(asked).toEqual([
      {
        url: "/secretsmanager/get?secretId=arn%3Aaws%3Asecretsmanager%3Aeu-west-1%3A123456789012%3Asecret%3Acatalogue",
        token: "",
      },
    ]);
    // Again: nothing is left to do, and it isn't the bucket's time.
    expect(await handler({}, invocation())).toEqual({
      volumes: { [volume.name]: expect.objectContaining({ deleted: 0, tiered: 0, abandoned: 0 }) as object },
    });
  });

  it("fails where a job fails, and has dealt with the others", async () => {
    const completed = await volume.addJob({ state: "completed", age: 1000 });
    await volume.addJob({ state: "uploaded", age: 1000 });
    const Key = `${jobPrefix(tenantId, completed)}source.mp4`;
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "another's" }));
    configure({ tiering: { packBelowBytes: 0 } });
    await expect(handler({}, invocation())).rejects.toThrow("1 failures, each of them in the log");
    expect(volume.jobs()).toEqual([completed]);
  });

  it("begins nothing when its time is nearly over", async () => {
    const job = await volume.addJob({ state: "uploaded", age: 1000 });
    const result = await handler({}, invocation(30_000));
    expect(result).toEqual({ volumes: {} });
    expect(volume.jobs()).toEqual([job]);
  });

  it("deletes nothing while the catalogue is away", async () => {
    const job = await volume.addJob({ state: "uploaded", age: 1000 });
    await world.postgres.interrupt();
    try {
      await expect(handler({}, invocation())).rejects.toMatchObject({ name: "CatalogueUnavailableError" });
      expect(volume.jobs()).toEqual([job]);
    } finally {
      await world.postgres.resume();
    }
  });

  it.each([
    ["VIDEO_STORAGE_CLEANUP_CONFIG", "{", "VIDEO_STORAGE_CLEANUP_CONFIG is not JSON"],
    ["VIDEO_STORAGE_VOLUMES", "[]", "VIDEO_STORAGE_VOLUMES must be a list"],
    ["VIDEO_STORAGE_CATALOGUE_SECRET", "", "VIDEO_STORAGE_CATALOGUE_SECRET is not set"],
  ])("refuses %s = %j", async (variable, value, message) => {
    vi.stubEnv(variable, value);
    await expect(handler({}, invocation())).rejects.toThrow(message);
  });

  it("refuses settings that only a cluster has, and a secret that is none, without telling it", async () => {
    configure({ checkPods: true });
    await expect(handler({}, invocation())).rejects.toThrow("checkPods must be false");
    configure({ checkPods: false });
    secret = "hunter2";
    const error: unknown = await handler({}, invocation()).catch((reason: unknown) => reason);
    expect(String(error)).toBe("UsageError: the catalogue's secret must be JSON with username and password");
  });
});
