import { globSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { CONFIG_KEYS, ConfigError, parseConfig, SECRET_KEYS } from "../../infra/config.js";
import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { fenced, projectFile } from "./markdown.js";

const DOCUMENTS = globSync(["README.md", "CONTRIBUTING.md", "docs/**/*.md"], { cwd: PROJECT_DIRECTORY });

/** Every line of every shell block, continued lines joined. */
function commandLines(document: string): string[] {
  return fenced(projectFile(document).replace(/^ {3}(?=\S|$| )/gm, ""), ["sh"])
    .flatMap((block) => block.replace(/\\\n\s*/g, " ").split("\n"))
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

const LINES = DOCUMENTS.flatMap((document) => commandLines(document).map((line) => ({ document, line })));

/** The keys that are set or removed by a line, as paths. */
function configKeys(line: string): string[] {
  return [...line.matchAll(/pulumi config (?:set|rm)((?: --[a-z-]+)*) ('[^']+'|[\w.]+)/g)].map((match) =>
    match[2]!.replaceAll("'", ""),
  );
}

const VARIANTS: Readonly<Record<string, readonly object[]>> = {
  storage: ["static", "topolvm", "openebs-lvm", "cloud-instance-store"].map((mode) => ({ mode })),
  objectStorage: ["none", "minio", "aws", "s3"].map((backend) => ({ backend })),
};

/** Whether the program knows a key inside a top-level one, in whichever mode. */
function isKnown(path: string): boolean {
  const parts = path.split(/[.[\]]+/).filter((part) => part !== "");
  const [top, ...inside] = parts as [string, ...string[]];
  if ((SECRET_KEYS as readonly string[]).includes(top)) return inside.length === 0;
  if (!(top in CONFIG_KEYS)) return false;
  if (inside.length === 0) return true;
  return (VARIANTS[top] ?? [{}]).some((variant) => !isRefusedAsUnknown(top, inside, variant));
}

/** Whether giving a value there is refused because there is no such key. */
function isRefusedAsUnknown(top: string, inside: readonly string[], variant: object): boolean {
  const nested = inside.reduceRight<unknown>(
    (value, part) => (/^\d+$/.test(part) ? [value] : { [part]: value }),
    "x",
  );
  const value = Array.isArray(nested) ? nested : { ...(nested as object), ...variant };
  // `identity.kind` and the like choose among variants themselves, and any word but theirs is refused.
  try {
    parseConfig("docs", { [top]: value });
    return false;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.some(({ allowed }) => allowed.includes("the keys are"));
  }
}

/** The options and words that a program of ours knows, by what its source says. */
function knownWords(sources: readonly string[]): Set<string> {
  const text = globSync([...sources], { cwd: PROJECT_DIRECTORY })
    .map((file) => projectFile(file))
    .join("\n");
  const options = [...text.matchAll(/(?:\.option|\.requiredOption|new Option)\(\s*"(--[a-z-]+)/g)];
  const commands = [...text.matchAll(/\.command\("([a-z-]+)/g)];
  return new Set([...options, ...commands].map((match) => match[1]!));
}

const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  "cleanup-job": ["cleanup-job/src/**/*.ts"],
  "node-agent": ["node-agent/src/**/*.ts"],
  catalogue: ["catalogue/src/main.ts"],
};

describe("the commands in the documents", () => {
  it("set only keys that the program knows", () => {
    const keys = LINES.flatMap(({ document, line }) => configKeys(line).map((key) => ({ document, key })));
    expect(keys.length).toBeGreaterThan(40);
    expect(keys.filter(({ key }) => !isKnown(key))).toEqual([]);
  });

  it("would be found out if they set another", () => {
    expect(["retention.uploaded", "nodes[0].id", "catalogueAdminUrl", "pools[0].slots"].map(isKnown)).toEqual(
      [true, true, true, true],
    );
    expect(
      ["retentoin", "retention.upladed", "nodes[0].slotz", "storage.preparation.imag"].map(isKnown),
    ).toEqual([false, false, false, false]);
  });

  it.each(Object.keys(PROGRAMS))("give %s only what it takes", (program) => {
    const known = knownWords(PROGRAMS[program]!);
    const used = LINES.flatMap(({ line }) => {
      const [, rest] = new RegExp(`^(?:node \\S*/)?${program}(?:\\.mjs)? ([^|>]*)`).exec(line) ?? [];
      if (rest === undefined) return [];
      const words = rest.split("#")[0]!.trim().split(/\s+/);
      return words.filter((word, index) => word.startsWith("--") || index === 0);
    });
    expect(used.filter((word) => !known.has(word.split("=")[0]!))).toEqual([]);
  });

  it("run scripts, files and policies that there are", () => {
    const files = LINES.flatMap(({ line }) => [
      ...[...line.matchAll(/\bnode ([a-z][\w-]*\/[\w./-]+\.m?js)/g)].map((match) => match[1]!),
      ...[...line.matchAll(/\b(policies\/environments\/[\w-]+\.json)/g)].map((match) => match[1]!),
    ]);
    const built = /^(?:[\w-]+\/)?dist\//;
    const absent = files.filter(
      (file) => !built.test(file) && globSync(file, { cwd: PROJECT_DIRECTORY }).length === 0,
    );
    expect(files.length).toBeGreaterThan(5);
    expect(absent).toEqual([]);
  });

  it("say the time that a vanished node's volumes are left", () => {
    const [, seconds] = /VANISHED_NODES = \{ graceSeconds: (\d+)/.exec(projectFile("infra/storage.ts"))!;
    expect(projectFile("docs/operating-on-aws.md")).toContain(
      `removes the node's PersistentVolumes ${Number(seconds) / 60} minutes after it left the cluster`,
    );
  });
});
