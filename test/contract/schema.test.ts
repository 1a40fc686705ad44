import { execFile, spawnSync } from "node:child_process";
import fs from "node:fs/promises";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import { parseJobRecord } from "@video-storage/contract/job-record";
import { parseStackContract } from "@video-storage/contract/stack-contract";
import { compareSchemas } from "../../contract/schema/compatibility.js";
import type { JsonSchema, SchemaPromise } from "../../contract/schema/compatibility.js";
import { CONTRACT_DOCUMENTS, jsonSchemaOf } from "../../contract/schema/documents.js";
import { jobRecord, stackContract } from "../support/documents.js";

const read = async (file: string): Promise<JsonSchema> =>
  JSON.parse(await fs.readFile(file, "utf8")) as JsonSchema;
const PARSERS: Readonly<Record<string, (document: unknown) => unknown>> = {
  "stack-contract": parseStackContract,
  "job-record": (document) => parseJobRecord(JSON.stringify(document)),
  "cleanup-config": parseCleanupConfig,
};
const validator = (schema: JsonSchema) =>
  new Ajv2020({ validateFormats: false, strict: false, allErrors: true }).compile(schema);

describe.each(CONTRACT_DOCUMENTS.map((document) => [document.file, document] as const))(
  "%s",
  (file, document) => {
    it("promises what it promised", async () => {
      const { breaking, additive } = compareSchemas(
        await read(`contract/schema/${file}`),
        jsonSchemaOf(document),
        document.promise,
      );
      expect(
        breaking,
        "breaking for those who rely on it: leave this version as it is and add the next",
      ).toEqual([]);
      expect(additive, "additive: run `npm run schema` and commit what it writes").toEqual([]);
    });

    it("still takes the documents of its first days, by the schema and by the program", async () => {
      const kind = file.replace(/\.v1\.json$/, "");
      const golden = (await fs.readdir("test/contract/golden")).filter((name) => name.startsWith(`${kind}.`));
      expect(golden.length).toBeGreaterThan(0);
      const validate = validator(await read(`contract/schema/${file}`));
      for (const name of golden) {
        const example = await read(`test/contract/golden/${name}`);
        expect(validate(example), JSON.stringify(validate.errors)).toBe(true);
        expect(PARSERS[kind]!(example)).toMatchObject(example);
      }
    });
  },
);

describe("schema and program", () => {
  const record = jobRecord({ files: { "source.mp4": { bytes: 1, sha256: "0".repeat(64) } } });
  const contract = stackContract();
  it.each<[string, string, object, boolean]>([
    ["a record", "job-record", record, true],
    ["a record with later fields", "job-record", { ...record, later: 1 }, true],
    ["another tenant id", "job-record", { ...record, tenantId: "A" }, false],
    ["another job id", "job-record", { ...record, jobId: "0190163d-8694-439b-aea5-966c26f8ad91" }, false],
    ["another version", "job-record", { ...record, version: 2 }, false],
    ["an unknown state", "job-record", { ...record, state: "done" }, false],
    ["attributes that are a list", "job-record", { ...record, attributes: [] }, false],
    ["a contract", "stack-contract", contract, true],
    ["a contract with later fields", "stack-contract", { ...contract, later: true }, true],
    [
      "a contract with later fields deep down",
      "stack-contract",
      {
        ...contract,
        catalogue: { ...contract.catalogue, later: 1 },
        retention: { ...contract.retention, later: 1 },
      },
      true,
    ],
    ["a contract of version 2", "stack-contract", { ...contract, contractVersion: 2 }, false],
    ["a contract without slots", "stack-contract", { ...contract, slots: undefined }, false],
    [
      "a relative mount path",
      "stack-contract",
      { ...contract, layout: { ...contract.layout, mountPath: "x" } },
      false,
    ],
  ])("agree about %s", async (_what, kind, value, valid) => {
    const document: unknown = JSON.parse(JSON.stringify(value));
    const validate = validator(await read(`contract/schema/${kind}.v1.json`));
    expect(validate(document), JSON.stringify(validate.errors)).toBe(valid);
    const parse = () => PARSERS[kind]!(document);
    if (valid) expect(parse()).toBeDefined();
    else expect(parse).toThrow();
  });
});

describe("what a change of schema means", () => {
  const ANY: SchemaPromise = { readers: "any release", documents: "rewritten" };
  const KEPT: SchemaPromise = { readers: "any release", documents: "kept" };
  const SAME: SchemaPromise = { readers: "same release", documents: "rewritten" };
  const open = (properties: object, required: string[] = []): JsonSchema => ({
    type: "object",
    properties,
    required,
  });
  const strict = (properties: object): JsonSchema => ({ ...open(properties), additionalProperties: false });
  const text = { type: "string" };

  it.each<[string, JsonSchema, JsonSchema, SchemaPromise, string[], string[]]>([
    ["nothing", open({ a: text }), open({ a: text }), ANY, [], []],
    ["a new field", open({ a: text }), open({ a: text, b: text }), ANY, [], ["$.b: is new"]],
    [
      "a new required field",
      open({}),
      open({ b: text }, ["b"]),
      ANY,
      [],
      ["$.b: is new", "$.b: is required now"],
    ],
    [
      "one that kept documents lack",
      open({}),
      open({ b: text }, ["b"]),
      KEPT,
      ["$.b: is required now"],
      ["$.b: is new"],
    ],
    [
      "one that strict readers refuse",
      strict({}),
      strict({ b: text }),
      ANY,
      ["$.b: is new, where readers refuse what they don't know"],
      [],
    ],
    ["one for readers of the same release", strict({}), strict({ b: text }), SAME, [], ["$.b: is new"]],
    ["a field removed", open({ a: text }, ["a"]), open({}), ANY, ["$.a: was removed"], []],
    [
      "a field that may be missing",
      open({ a: text }, ["a"]),
      open({ a: text }),
      ANY,
      ["$.a: may be missing now"],
      [],
    ],
    [
      "another type",
      open({ a: text }),
      open({ a: { type: "number" } }),
      ANY,
      ['$.a: type "string" became "number"'],
      [],
    ],
    [
      "another value",
      open({ a: { enum: ["x"] } }),
      open({ a: { enum: ["x", "y"] } }),
      ANY,
      ['$.a: enum ["x"] became ["x","y"]'],
      [],
    ],
    [
      "a field that may be null",
      open({ a: { ...open({ b: text }) } }),
      open({ a: { anyOf: [open({ b: text }), { type: "null" }] } }),
      ANY,
      [
        '$.a: type "object" became nothing',
        "$.a.b: was removed",
        '$.a: anyOf nothing became [{"type":"object","properties":{"b":{"type":"string"}},"required":[]},{"type":"n…',
      ],
      [],
    ],
    [
      "a bound deep in a list",
      open({ a: { type: "array", items: { type: "integer", minimum: 0 } } }),
      open({ a: { type: "array", items: { type: "integer", minimum: 1 } } }),
      ANY,
      ["$.a.items: minimum 0 became 1"],
      [],
    ],
    ["words", { title: "a" }, { title: "b" }, ANY, [], ["$: title says something else"]],
  ])("%s", (_what, before, after, promise, breaking, additive) => {
    expect(compareSchemas(before, after, promise)).toEqual({ breaking, additive });
  });
});

describe("docs/contract.md", () => {
  const program = async (): Promise<string> => {
    const [, python] = /```python\n([^]*?)```/.exec(await fs.readFile("docs/contract.md", "utf8"))!;
    return python!;
  };
  const run = async (
    contract: object,
    volume: string,
  ): Promise<{ code: number; stdout: string; stderr: string }> => {
    const file = `/tmp/video-storage-contract-${process.pid}.json`;
    await fs.writeFile(file, JSON.stringify(contract));
    const source = await program();
    const env = { PATH: process.env["PATH"], VIDEO_STORAGE_CONTRACT: file, VIDEO_STORAGE_VOLUME: volume };
    return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) =>
      execFile("python3", ["-c", source], { env }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      ),
    ).finally(() => fs.rm(file));
  };

  it("names only fields that the schema has", async () => {
    const text = JSON.stringify(await read("contract/schema/stack-contract.v1.json"));
    const fields = [...(await program()).matchAll(/(?:\[|get\()"(\w+)"/g)].map((match) => match[1]!);
    expect(fields.length).toBeGreaterThan(8);
    const known = fields.filter(
      (field) => text.includes(`"${field}":`) || field.startsWith("VIDEO_STORAGE_"),
    );
    expect(known).toEqual(fields);
  });

  it.runIf(spawnSync("python3", ["--version"]).status === 0)(
    "has a worker's program in Python that runs",
    async () => {
      const contract = stackContract();
      const { code, stdout, stderr } = await run(contract, "node-0-slot-1");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(JSON.parse(stdout)).toEqual({
        ...{ root: "/tmp/video-jobs", source: "source.mp4", capacityBytes: contract.slots[1]!.capacityBytes },
        ...{
          bucket: "video",
          heartbeatSeconds: contract.heartbeatSeconds,
          jobsPerSlot: contract.jobsPerSlot,
        },
      });
      expect(await run({ ...contract, contractVersion: 2 }, "node-0-slot-1")).toMatchObject({
        ...{ code: 1, stderr: "the stack's contract has version 2, and this worker reads only 1\n" },
      });
      expect((await run(contract, "elsewhere")).stderr).toBe(
        "the stack has no volume elsewhere; it has node-0-slot-0, node-0-slot-1\n",
      );
    },
  );
});
