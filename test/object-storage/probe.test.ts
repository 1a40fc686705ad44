import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  CreateBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
} from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  LIFECYCLE_RULES,
  OBJECT_STORAGE_CAPABILITIES,
  objectStorageDuties,
  parseObjectStorageCapabilities,
} from "@video-storage/contract/object-storage-capabilities";
import type {
  ObjectStorageCapabilities,
  ObjectStorageCapability,
} from "@video-storage/contract/object-storage-capabilities";
import { probe, unmetRequirements } from "@video-storage/object-storage-probe/probe";
import { parseProbeSettings } from "@video-storage/object-storage-probe/settings";
import type { ProbeSettingsInput } from "@video-storage/object-storage-probe/settings";
import { formatCapabilities } from "@video-storage/object-storage-probe/table";
import { objectStorageClient } from "@video-storage/worker/object-storage";
import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { lifecycleRules } from "../../components/lib/object-lifecycle.js";
import { PROJECT } from "../../local/paths.js";
import { setUp } from "../support/bucket-roles.js";
import { startMinio, startVersityGateway } from "../support/s3-servers.js";
import type { S3Server } from "../support/s3-servers.js";
import { startTamperingProxy } from "../support/tampering-proxy.js";
import type { Fault } from "../support/tampering-proxy.js";

const BUCKET = "videos";

function settingsFor(
  server: Pick<S3Server, "endpoint"> & { readonly caFile: string | null },
  change: Partial<ProbeSettingsInput> = {},
): ProbeSettingsInput {
  const { endpoint, caFile } = server;
  return {
    version: 1,
    objectStorage: { endpoint, region: "us-east-1", bucket: BUCKET, forcePathStyle: true, caFile },
    lifecycle: { mode: "apply", rules: lifecycleRules({}) },
    encryption: "AES256",
    required: { capabilities: [...OBJECT_STORAGE_CAPABILITIES], rules: [...LIFECYCLE_RULES] },
    patienceSeconds: 5,
    report: null,
    ...change,
  };
}

const heldBy = (found: ObjectStorageCapabilities): Record<string, boolean> =>
  Object.fromEntries(OBJECT_STORAGE_CAPABILITIES.map((name) => [name, found.capabilities[name].held]));
const outcomes = (found: ObjectStorageCapabilities): Record<string, string> =>
  Object.fromEntries(LIFECYCLE_RULES.map((name) => [name, found.lifecycle[name].outcome]));
const ALL_HELD = Object.fromEntries(OBJECT_STORAGE_CAPABILITIES.map((name) => [name, true]));

function without<T>(entries: Readonly<Record<string, T>>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).filter(([key]) => key !== name));
}

async function leftBehind(administrator: S3Client): Promise<unknown[]> {
  const { Versions = [], DeleteMarkers = [] } = await administrator.send(
    new ListObjectVersionsCommand({ Bucket: BUCKET }),
  );
  const { Uploads = [] } = await administrator.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
  return [...Versions, ...DeleteMarkers, ...Uploads];
}

describe("of a real MinIO", () => {
  let server: S3Server;
  let administrator: S3Client;
  let credentials: { accessKeyId: string; secretAccessKey: string };
  let found: ObjectStorageCapabilities;

  beforeAll(async () => {
    server = await startMinio();
    administrator = objectStorageClient(settingsFor(server).objectStorage, server.administrator);
    const { secrets } = await setUp(server, BUCKET, ["acme"]);
    credentials = { accessKeyId: "probe", secretAccessKey: secrets["probe"]! };
    found = await probe(parseProbeSettings(settingsFor(server)), { credentials });
  }, 300_000);
  afterAll(async () => {
    administrator?.destroy();
    await server?.stop();
  });

  it("the probe finds everything held but the listing of unfinished uploads", () => {
    expect(heldBy(found)).toEqual({ ...ALL_HELD, "list-unfinished-uploads": false });
    expect(found.capabilities["list-unfinished-uploads"].detail).toBe(
      "an unfinished upload is listed only to who asks for its whole key",
    );
    expect(found.capabilities["tls-only"].detail).toBe(
      "the certificate is trusted; plain HTTP is refused (400)",
    );
    expect(found.capabilities.encryption.detail).toMatch(/^objects are encrypted by AES256/);
  });

  it("it keeps every rule but the abort of unfinished uploads, which the cleanup job then has to do", async () => {
    expect(outcomes(found)).toEqual({
      "abort-unfinished-uploads": "refused",
      "expire-noncurrent-versions": "kept",
      "remove-expired-delete-markers": "kept",
      "expire-released-objects": "kept",
      "expire-probe-objects": "kept",
      "transition-cold-objects": "not-declared",
    });
    expect(objectStorageDuties(found)).toEqual({
      abortUnfinishedUploads: true,
      removeNoncurrentVersions: false,
      removeReleasedObjects: false,
    });
    const { Rules } = await administrator.send(
      new GetBucketLifecycleConfigurationCommand({ Bucket: BUCKET }),
    );
    expect(Rules!.map(({ ID }) => ID).sort()).toEqual([
      "expire-noncurrent-versions",
      "expire-probe-objects",
      "expire-released-objects",
      "remove-expired-delete-markers",
    ]);
  });

  it("the trap is there: beside another action it accepts the abort and drops it without a word", async () => {
    const [abort, noncurrent] = lifecycleRules({});
    const both = { ...noncurrent!, ...abort!, ID: "abort-unfinished-uploads" as const };
    const settings = settingsFor(server, { lifecycle: { mode: "apply", rules: [both] } });
    const { lifecycle } = await probe(parseProbeSettings(settings), { credentials });
    expect(lifecycle["abort-unfinished-uploads"].outcome).toBe("altered");
    await probe(parseProbeSettings(settingsFor(server)), { credentials });
  });

  it("nothing is left of it in the bucket, neither version nor upload", async () => {
    expect(await leftBehind(administrator)).toEqual([]);
  });

  it("a second time it finds the same, and reading alone changes nothing", async () => {
    const again = await probe(parseProbeSettings(settingsFor(server)), { credentials });
    expect({ ...again, probedAt: found.probedAt }).toEqual(found);
    const settings = settingsFor(server, { lifecycle: { mode: "verify", rules: lifecycleRules({}) } });
    const read = await probe(parseProbeSettings(settings), { credentials });
    expect(outcomes(read)).toEqual({ ...outcomes(found), "abort-unfinished-uploads": "dropped" });
  });

  it("what is required and isn't met is said one by one", () => {
    expect(unmetRequirements(parseProbeSettings(settingsFor(server)), found)).toEqual([
      "list-unfinished-uploads: an unfinished upload is listed only to who asks for its whole key",
      expect.stringMatching(/^rule abort-unfinished-uploads is refused: InvalidArgument \(400\)/),
      "rule transition-cold-objects is not-declared: no such rule is declared",
    ]);
  });

  /** Each fault, and what must be noticed. The rest is the real server's. */
  const FAULTS: [ObjectStorageCapability, string, Fault][] = [
    [
      "no-public-access",
      "without credentials the server allows reading an object (200)",
      ({ method, url, headers }) =>
        method === "GET" && !headers.authorization && !url!.includes("list-type")
          ? { status: 200, body: "private" }
          : undefined,
    ],
    [
      "encryption",
      "an object put without a word about it is not encrypted",
      (_request, { headers }) => {
        return { headers: without(headers, "x-amz-server-side-encryption") };
      },
    ],
    [
      "encryption",
      "objects are encrypted by aws:kms, not by AES256 as declared",
      ({ method }, { headers }) =>
        method === "HEAD"
          ? { headers: { ...headers, "x-amz-server-side-encryption": "aws:kms" } }
          : undefined,
    ],
    [
      "versioning",
      "after a deletion 0 of 2 versions and 0 of 1 delete marker are there",
      ({ url }, { body }) =>
        /[?&]versions/.test(url!)
          ? { body: body.replace(/<(Version|DeleteMarker)>.*?<\/\1>/gs, "") }
          : undefined,
    ],
    [
      "conditional-writes",
      "a put with If-None-Match: * overwrites what is there",
      (_request, { status }) => (status === 412 ? { status: 200, body: "" } : undefined),
    ],
    [
      "checksum-sha256",
      "a body with another checksum is taken",
      ({ method, headers }, { status }) =>
        method === "PUT" && status === 400 && headers["x-amz-checksum-sha256"]
          ? { status: 200, body: "" }
          : undefined,
    ],
    [
      "checksum-crc32c",
      "a body with another checksum is refused, but the right one can't be read back",
      ({ method }, { headers }) => {
        return method === "HEAD" ? { headers: without(headers, "x-amz-checksum-crc32c") } : undefined;
      },
    ],
    [
      "multipart",
      "an object of two parts has 5 bytes instead of 5242887",
      ({ method, url }, { headers }) =>
        method === "HEAD" && url!.endsWith("/parts")
          ? { headers: { ...headers, "content-length": "5" } }
          : undefined,
    ],
    [
      "tags",
      "a tag that is put is not read back",
      ({ url }, { body }) =>
        url!.includes("tagging") ? { body: body.replace(/<Tag>.*<\/Tag>/s, "") } : undefined,
    ],
    [
      "tags",
      "failed with NotImplemented (501): not here",
      ({ method, url }) =>
        method === "PUT" && url!.includes("tagging")
          ? { status: 501, body: "<Error><Code>NotImplemented</Code><Message>not here</Message></Error>" }
          : undefined,
    ],
  ];

  it.each(FAULTS)("a fault of %s is noticed: %s", async (name, detail, fault) => {
    const proxy = await startTamperingProxy(server);
    try {
      proxy.fault = fault;
      const settings = settingsFor({ endpoint: proxy.endpoint, caFile: null });
      const told = await probe(parseProbeSettings(settings), { credentials });
      expect(told.capabilities[name]).toEqual({ held: false, required: true, detail });
      const others = { ...heldBy(found), "tls-only": false, [name]: false };
      expect(heldBy(told)).toEqual(others);
    } finally {
      await proxy.stop();
    }
  });

  it.each<[string, string, Fault]>([
    [
      "dropped",
      "the endpoint's rules don't have it",
      ({ method, url }, { body }) =>
        method === "GET" && url!.includes("lifecycle")
          ? { body: body.replace(/<Rule><ID>expire-released-objects<\/ID>.*?<\/Rule>/s, "") }
          : undefined,
    ],
    [
      "altered",
      "declared ",
      ({ method, url }, { body }) =>
        method === "GET" && url!.includes("lifecycle")
          ? { body: body.replaceAll("<Tag>", "<Other>").replaceAll("</Tag>", "</Other>") }
          : undefined,
    ],
  ])("a rule that was accepted and is read back otherwise is %s", async (outcome, detail, fault) => {
    const proxy = await startTamperingProxy(server);
    try {
      proxy.fault = fault;
      const settings = settingsFor({ endpoint: proxy.endpoint, caFile: null });
      const { lifecycle } = await probe(parseProbeSettings(settings), { credentials });
      expect(lifecycle["expire-released-objects"].outcome).toBe(outcome);
      expect(lifecycle["expire-released-objects"].detail).toContain(detail);
    } finally {
      await proxy.stop();
    }
  });

  it.each([
    ["another bucket", { bucket: "nowhere" }, {}, /can't be probed: .*: make bucket nowhere, or correct/],
    ["another key", {}, { secretAccessKey: "wrong" }, /an access key that the server doesn't know/],
    [
      "another authority",
      { caFile: null },
      {},
      /certificate isn't trusted; .* give its authority as ca\.crt/,
    ],
  ])("%s is told at once, with what to do", async (_what, objectStorage, change, message) => {
    const settings = settingsFor(server);
    const changed = { ...settings, objectStorage: { ...settings.objectStorage, ...objectStorage } };
    // The administrator, because who is denied everything else isn't told what exists.
    const as = "bucket" in objectStorage ? server.administrator : { ...credentials, ...change };
    await expect(probe(parseProbeSettings(changed), { credentials: as })).rejects.toThrow(message);
  });

  it("a server that is away is waited for, and then told", async () => {
    const settings = settingsFor({ endpoint: "http://127.0.0.1:1", caFile: null }, { patienceSeconds: 1 });
    await expect(probe(parseProbeSettings(settings), { credentials })).rejects.toThrow(
      /bucket videos can't be probed: .*ECONNREFUSED/,
    );
  });

  async function command(
    settings: ProbeSettingsInput,
  ): Promise<{ code: number | null; out: string; err: string }> {
    const keys = join(server.directory, "probe-keys");
    await mkdir(keys, { recursive: true });
    for (const [name, value] of Object.entries(credentials)) await writeFile(join(keys, name), value);
    const config = join(server.directory, "probe.json");
    await writeFile(config, JSON.stringify(settings));
    const main = join(PROJECT, "object-storage-probe/src/main.ts");
    const args = [...RUNS_TYPESCRIPT, main, "run", "--config", config, "--credentials", keys];
    const child = spawn(process.execPath, args, { cwd: PROJECT, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { code, out, err };
  }

  it("the command reports, and ends with 0 only when nothing required is missing", async () => {
    const enough = { capabilities: ["tls-only", "encryption"], rules: ["expire-probe-objects"] } as const;
    const fine = await command(settingsFor(server, { required: structuredClone(enough) as never }));
    expect([fine.code, fine.err]).toEqual([0, ""]);
    expect(heldBy(parseObjectStorageCapabilities(JSON.parse(fine.out)))).toEqual(heldBy(found));
    const short = await command(settingsFor(server));
    expect(short.code).toBe(1);
    expect(short.err).toMatch(
      /^bucket videos lacks what this stack requires:\n {2}list-unfinished-uploads: /,
    );
    const wrong = await command({ ...settingsFor(server), encryption: "rot13" as never });
    expect([wrong.code, wrong.out]).toEqual([2, ""]);
    expect(wrong.err).toContain("encryption: ");
  }, 60_000);

  it("the table for people has a line for each finding", () => {
    const lines = formatCapabilities(found).split("\n");
    expect(lines[0]).toBe(`Bucket videos at ${server.endpoint}:`);
    expect(lines).toContain("  tags                           held          a tag that is put is read back");
    expect(lines.filter((line) => line.includes("MISSING"))).toHaveLength(1);
  });
});

describe("of a real Versity gateway", () => {
  let server: S3Server;
  let administrator: S3Client;
  let found: ObjectStorageCapabilities;

  beforeAll(async () => {
    server = await startVersityGateway();
    administrator = objectStorageClient(settingsFor(server).objectStorage, server.administrator);
    await administrator.send(new CreateBucketCommand({ Bucket: BUCKET }));
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await administrator.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration }));
    found = await probe(parseProbeSettings(settingsFor(server)), { credentials: server.administrator });
  }, 600_000);
  afterAll(async () => {
    administrator?.destroy();
    await server?.stop();
  });

  it("the probe finds that it lists unfinished uploads, and encrypts nothing", () => {
    expect(heldBy(found)).toEqual({ ...ALL_HELD, encryption: false });
  });

  it("it keeps no rule, so that the cleanup job has to do everything", () => {
    expect([...new Set(Object.values(outcomes(found)))].sort()).toEqual(["not-declared", "refused"]);
    expect(found.lifecycle["expire-released-objects"].detail).toMatch(/^NotImplemented \(501\)/);
    expect(Object.values(objectStorageDuties(found))).toEqual([true, true, true]);
  });

  it("nothing is left of it in the bucket", async () => {
    expect(await leftBehind(administrator)).toEqual([]);
  });
});
