import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { buildMinioServer } from "../../components/lib/minio-workloads.js";
import { image } from "../support/local-configuration.js";

const RECORD = ".video-storage-key.json";
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "video-storage-minio-volume-"));
  mkdirSync(join(directory, "lost+found"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** The check as the server's pod runs it, but for the volume's place. */
function check({ keyId = "aaaaaaaaaa", guarded = true, namespace = "system" } = {}) {
  const { initContainers } = buildMinioServer(
    {
      ...{ environment: "test", namespace, image: image("minio"), clientImage: image("mc") },
      ...{ nodeImage: image("probe"), guarded, claim: "c", serverSecret: "s", tlsSecret: "t", region: "r" },
    },
    { secretsHash: "0123456789", keyId },
  ).spec.template.spec;
  const { command, env } = initContainers[0]!;
  const ended = spawnSync(process.execPath, command.slice(1), {
    env: {
      ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
      DIRECTORY: directory,
    },
    encoding: "utf8",
  });
  const { level, message } = JSON.parse(ended.stdout) as { level: string; message: string };
  return { code: ended.status, level, message };
}

/** What a server and its clients leave. */
function store(): void {
  for (const name of [".minio.sys/config", "video-storage/tenants"]) {
    mkdirSync(join(directory, name), { recursive: true });
    writeFileSync(join(directory, name, "xl.meta"), "an object");
  }
}

const entries = () => readdirSync(directory).sort();
const record = () => JSON.parse(readFileSync(join(directory, RECORD), "utf8")) as unknown;

describe("the check of the object storage's volume", () => {
  it("says on an empty volume whose it is, with which key, and lets the same key at it again", () => {
    expect(check()).toEqual({ code: 0, level: "info", message: "the key is aaaaaaaaaa" });
    const own = { version: 1, owner: "test/system", key: "aaaaaaaaaa", guarded: true };
    expect(record()).toEqual(own);
    store();
    expect(check().code).toBe(0);
    expect(check({ guarded: false }).code).toBe(0);
    expect(record()).toEqual({ ...own, guarded: false });
    expect(entries()).toEqual([".minio.sys", RECORD, "lost+found", "video-storage"]);
  });

  it("refuses another key's objects where they were guarded, and touches nothing", () => {
    check();
    store();
    const before = [entries(), record()];
    for (const guarded of [true, false])
      expect(check({ keyId: "bbbbbbbbbb", guarded })).toEqual({
        code: 1,
        level: "error",
        message:
          "the volume has objects of test/system, encrypted with key aaaaaaaaaa, and test/system has key bbbbbbbbbb; " +
          "nothing was touched. Set objectStorageKey to the key that the objects are encrypted with, or, to give " +
          "them up, empty the volume's directory on its node",
      });
    expect([entries(), record()]).toEqual(before);
    expect(check().code).toBe(0);
  });

  it("empties it of what an unguarded stack of the same name left, whose key went with it", () => {
    check({ guarded: false });
    store();
    expect(check({ keyId: "bbbbbbbbbb", guarded: false })).toEqual({
      code: 0,
      level: "warning",
      message: "emptied of what was encrypted with key aaaaaaaaaa, which an unguarded stack took along",
    });
    expect(entries()).toEqual([RECORD, "lost+found"]);
    expect(record()).toMatchObject({ key: "bbbbbbbbbb", guarded: false });
  });

  it("refuses another stack's objects, guarded or not", () => {
    check({ guarded: false });
    store();
    const { code, message } = check({ keyId: "bbbbbbbbbb", guarded: false, namespace: "other" });
    expect([code, message]).toEqual([1, expect.stringContaining("test/other has key bbbbbbbbbb")]);
    expect(entries()).toContain("video-storage");
  });

  it("leaves objects of which nothing is known as they are, and claims no key for them", () => {
    store();
    expect(check()).toMatchObject({ code: 0, level: "warning" });
    expect(entries()).toEqual([".minio.sys", "lost+found", "video-storage"]);
  });

  it("takes up again what was killed while it was emptied, or while it wrote down its key", () => {
    check({ guarded: false });
    store();
    rmSync(join(directory, ".minio.sys"), { recursive: true });
    writeFileSync(join(directory, `${RECORD}.partial`), '{"vers');
    expect(check({ keyId: "bbbbbbbbbb", guarded: false }).code).toBe(0);
    expect(entries()).toEqual([RECORD, "lost+found"]);
  });

  it("fails, and empties nothing, where its own record can't be read", () => {
    store();
    writeFileSync(join(directory, RECORD), "{");
    expect(check()).toMatchObject({
      code: 1,
      message: expect.stringContaining(`${RECORD} on the volume can't`),
    });
    expect(entries()).toContain("video-storage");
  });
});
