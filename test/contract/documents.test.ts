import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  floorOf,
  InvalidCleanupConfigError,
  parseCleanupConfig,
  retentionOf,
} from "@video-storage/contract/cleanup-config";
import {
  InvalidFileNameError,
  isJobFileName,
  parseJobFileName,
  parseLogName,
} from "@video-storage/contract/file-names";
import type { JobIdentity } from "@video-storage/contract/identity";
import {
  InvalidRecordError,
  MAXIMUM_RECORD_BYTES,
  parseJobRecord,
  serializeJobRecord,
} from "@video-storage/contract/job-record";
import type { JobRecord } from "@video-storage/contract/job-record";
import { InvalidContractError, parseStackContract } from "@video-storage/contract/stack-contract";
import { anyText, jobIds, tenantIds } from "../support/arbitraries.js";
import { RETENTION, jobRecord, stackContract } from "../support/documents.js";

describe("a job's record", () => {
  const record: JobRecord = jobRecord({
    state: "failed",
    revision: 2,
    expectedBytes: 5,
    files: { "source.mp4": { bytes: 5, sha256: "a".repeat(64) } },
    attributes: { title: "Ünï", nested: { list: [1, null, true, { deep: "x" }] } },
    failure: { reason: "no such codec" },
  });

  it("comes back as it was written", () => {
    expect(parseJobRecord(serializeJobRecord(record))).toEqual(record);
    fc.assert(
      fc.property(
        tenantIds,
        jobIds,
        fc.dictionary(anyText, fc.jsonValue()),
        (tenantId, jobId, attributes) => {
          const identity: JobIdentity = { tenantId, jobId };
          const written = jobRecord({ ...identity, attributes: attributes as JobRecord["attributes"] });
          // Once through JSON, which has no -0.
          expect(parseJobRecord(serializeJobRecord(written))).toEqual(JSON.parse(JSON.stringify(written)));
        },
      ),
    );
  });

  it("keeps a key that has a meaning to JavaScript as a mere key", () => {
    const text = JSON.stringify(record).replace(
      '"attributes":{',
      '"attributes":{"__proto__":{"polluted":1},',
    );
    const parsed = parseJobRecord(text);
    expect(serializeJobRecord(parsed)).toContain('"__proto__"');
    expect((parsed.attributes as { polluted?: number }).polluted).toBeUndefined();
  });

  it("ignores fields that a later release may add", () => {
    expect(parseJobRecord(JSON.stringify({ ...record, later: 1 }))).toEqual(record);
  });

  it.each([
    [{ version: 2 }, /it has version 2, and this program reads only 1: use releases that match/],
    [{ version: undefined }, /it has no version/],
    [{ tenantId: "../other" }, /tenantId: must be 1 to 40/],
    [{ jobId: "nope" }, /jobId: must be a lower-case UUID of version 7/],
    [{ state: "done" }, /state: /],
    [{ revision: 0 }, /revision: /],
    [{ files: { "../../etc/passwd": { bytes: 1, sha256: "a".repeat(64) } } }, /files/],
    [{ files: { "source.mp4": { bytes: -1, sha256: "a".repeat(64) } } }, /files\.source\.mp4\.bytes: /],
    [{ owner: { volume: "v" } }, /owner\.node: /],
    [{ attributes: [] }, /attributes: must be an object/],
  ])("refuses %j", (change, message) => {
    const text = JSON.stringify({ ...record, ...change });
    expect(() => parseJobRecord(text)).toThrow(InvalidRecordError);
    expect(() => parseJobRecord(text)).toThrow(message);
  });

  it("names all problems at once", () => {
    const text = JSON.stringify({ ...record, tenantId: "A", jobId: "B", state: "C" });
    expect(() => parseJobRecord(text)).toThrow(/tenantId: [^]*jobId: [^]*state: /);
  });

  it.each([
    ["", /not JSON/],
    ["{", /not JSON/],
    ["null", /not a JSON object/],
    ["[]", /not a JSON object/],
    [" ".repeat(MAXIMUM_RECORD_BYTES + 1), /has 1048577 bytes; at most 1048576/],
    [
      `{"version":1,"attributes":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`,
      /attributes: must be an object, nested at most 64 deep/,
    ],
  ])("refuses what is no record", (text, message) => {
    expect(() => parseJobRecord(text)).toThrow(InvalidRecordError);
    expect(() => parseJobRecord(text)).toThrow(message);
  });

  it("isn't written when it couldn't be read again", () => {
    const large = jobRecord({ attributes: { text: "x".repeat(MAXIMUM_RECORD_BYTES) } });
    expect(() => serializeJobRecord(large)).toThrow(InvalidRecordError);
  });
});

describe("names of files", () => {
  it.each(["source.mp4", "a", "audio_track-2.aac", "x".repeat(128), "constructor"])("takes %s", (name) => {
    expect(parseJobFileName(name)).toBe(name);
  });

  it.each(["", ".", "..", ".hidden", "a/b", "../a", "a\0", "a b", "ä", "-rf", "x".repeat(129), "x.partial"])(
    "refuses %j as file and as log",
    (name) => {
      expect(() => parseJobFileName(name)).toThrow(InvalidFileNameError);
      expect(() => parseLogName(name)).toThrow(InvalidFileNameError);
    },
  );

  it.each(["metadata.json", "logs"])("keeps %s for the job itself", (name) => {
    expect(() => parseJobFileName(name)).toThrow(/are the job's own/);
  });

  it("never holds a separator or a leading dot, whatever is tried", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(isJobFileName(text) && /^\.|[/\\\0\n]/.test(text)).toBe(false);
      }),
    );
  });
});

describe("the stack's contract", () => {
  it("is read as it was written, with what later releases add left out", () => {
    expect(parseStackContract({ ...stackContract(), later: true })).toEqual(stackContract());
    expect(parseStackContract(stackContract({ objectStorage: null })).objectStorage).toBeNull();
  });

  it.each([
    [null, /it is not a JSON object/],
    [{}, /it has no contractVersion; this program reads contractVersion 1/],
    [{ ...stackContract(), contractVersion: 2 }, /contractVersion 2, and this program reads only 1/],
    [{ ...stackContract(), namespace: 7, reserveBytes: -1 }, /namespace: [^]*reserveBytes: /],
    [{ ...stackContract(), retention: { ...RETENTION, failedSeconds: "1d" } }, /retention\.failedSeconds: /],
    [
      { ...stackContract(), tenants: [{ id: "A", catalogueSecret: "s", objectStorageSecret: null }] },
      /tenants\.0\.id: /,
    ],
  ])("refuses what it can't rely on (%#)", (value, message) => {
    expect(() => parseStackContract(value)).toThrow(InvalidContractError);
    expect(() => parseStackContract(value)).toThrow(message);
  });
});

describe("the cleanup job's settings", () => {
  const { namespace, catalogue, objectStorage, retention, heartbeatTimeoutSeconds } = stackContract();
  const config = {
    ...{
      version: 1,
      namespace,
      catalogue,
      objectStorage,
      retention,
      heartbeatTimeoutSeconds,
      checkPods: true,
    },
    pressure: {
      bytes: { highWaterPercent: 85, lowWaterPercent: 70 },
      inodes: { highWaterPercent: 85, lowWaterPercent: 70 },
      unuploaded: "keep",
      floor: { seconds: 0, bytes: 0 },
      tenantFloors: {},
    },
    tenantRetention: { limits: {}, overrides: {} },
    tiering: { packBelowBytes: 131_072, concurrency: 4 },
    janitor: {
      periodSeconds: 86_400,
      unfinishedUploadSeconds: 86_400,
      unuploaded: "keep",
      doubtAboveObjects: 100,
      doubtAbovePercent: 20,
    },
  };

  it("are read as they were written", () => {
    expect(parseCleanupConfig(config)).toEqual(config);
  });

  it("give a tenant its own times and floors, within the limits, and everyone else the stack's", () => {
    const parsed = parseCleanupConfig({
      ...config,
      tenantRetention: {
        limits: {
          failedSeconds: { minimumSeconds: 100, maximumSeconds: 200 },
          completedActions: ["tier", "keep"],
        },
        overrides: { acme: { failedSeconds: 200, completedAction: "keep" } },
      },
      pressure: { ...config.pressure, floor: { seconds: 5, bytes: 6 }, tenantFloors: { acme: { bytes: 7 } } },
    });
    const stacks = { ...retention, completedAction: retention.completedAction };
    expect(retentionOf(parsed, "acme")).toEqual({ ...stacks, failedSeconds: 200, completedAction: "keep" });
    expect(retentionOf(parsed, "globex")).toEqual(stacks);
    expect(retentionOf(parsed, null)).toEqual(stacks);
    expect(floorOf(parsed.pressure, "acme")).toEqual({ seconds: 5, bytes: 7 });
    expect(floorOf(parsed.pressure, "globex")).toEqual({ seconds: 5, bytes: 6 });
  });

  it("have defaults for what a stack needn't say", () => {
    const { bytes, inodes } = config.pressure;
    const unsaid = { tiering: undefined, janitor: undefined, tenantRetention: undefined };
    expect(parseCleanupConfig({ ...config, ...unsaid, pressure: { bytes, inodes } })).toEqual(config);
  });

  it.each([
    [{ ...config, version: 3 }, /version 3, and this program reads only 1/],
    [{ ...config, chekPods: true }, /chekPods/],
    [{ ...config, retention: { ...RETENTION, completedAction: "shred" } }, /retention\.completedAction: /],
    [
      { ...config, pressure: { ...config.pressure, inodes: { highWaterPercent: 70, lowWaterPercent: 70 } } },
      /pressure\.inodes: lowWaterPercent must be less/,
    ],
    [
      { ...config, tenantRetention: { limits: {}, overrides: { acme: { failedSeconds: 60 } } } },
      /tenantRetention\.overrides\.acme\.failedSeconds: can't be overridden: limits has no failedSeconds/,
    ],
    [
      {
        ...config,
        tenantRetention: {
          limits: { failedSeconds: { minimumSeconds: 100, maximumSeconds: 200 } },
          overrides: { acme: { failedSeconds: 99 } },
        },
      },
      /acme\.failedSeconds: must be from 100 to 200/,
    ],
    [
      {
        ...config,
        tenantRetention: {
          limits: { completedActions: ["tier"] },
          overrides: { acme: { completedAction: "delete" } },
        },
      },
      /acme\.completedAction: must be one of limits\.completedActions \(tier\)/,
    ],
    [
      { ...config, tenantRetention: { limits: {}, overrides: { "-acme": {} } } },
      /-acme: is not a tenant id|overrides/,
    ],
  ])("are refused when in doubt (%#)", (value, message) => {
    expect(() => parseCleanupConfig(value)).toThrow(InvalidCleanupConfigError);
    expect(() => parseCleanupConfig(value)).toThrow(message);
  });
});
