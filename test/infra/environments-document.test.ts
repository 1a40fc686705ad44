import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { CONFIG_KEYS, ConfigError, parseConfig, SECRET_KEYS } from "../../infra/config.js";
import { PROJECT_DIRECTORY, stackConfiguration } from "../../infra/stack-files.js";
import { INSTALLATIONS } from "../support/installations.js";
import { LOCAL_CONFIGURATION } from "../support/local-configuration.js";

const text = readFileSync(`${PROJECT_DIRECTORY}/docs/environments.md`, "utf8");
const table = text.slice(text.indexOf("## Keys"), text.indexOf("## What is checked"));
const rows = new Map(
  table.split("\n").flatMap((line) => {
    const key = /^\| `(\w+)`/.exec(line)?.[1];
    return key === undefined ? [] : [[key, line] as const];
  }),
);

/** The keys that the program knows inside an object, as it says them when it is given one that it doesn't know. */
function keysInside(key: string, given: object): string[] {
  const unknown = "zzzzzzzzzzzz";
  try {
    parseConfig("docs", { [key]: { ...given, [unknown]: 1 } });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problem = error.problems.find((one) => one.key === `${key}.${unknown}`);
    return problem!.allowed.split("the keys are ")[1]!.split(", ");
  }
  throw new Error(`${key} takes anything`);
}

describe("docs/environments.md", () => {
  it("has a row for each key, and no other", () => {
    expect([...rows.keys()].sort()).toEqual([...Object.keys(CONFIG_KEYS), ...SECRET_KEYS].sort());
  });

  it.each([
    ["storage", { mode: "static" }],
    ["storage", { mode: "topolvm" }],
    ["storage", { mode: "openebs-lvm" }],
    ["storage", { mode: "cloud-instance-store" }],
    ["isolation", {}],
    ["retention", {}],
    ["cleanup", {}],
    ["staging", {}],
    ["scan", {}],
    ["alerts", {}],
    ["monitoring", {}],
    ["catalogue", {}],
    ["objectStorage", { backend: "none" }],
    ["objectStorage", { backend: "minio" }],
    ["objectStorage", { backend: "aws" }],
    ["objectStorage", { backend: "s3" }],
  ])("names every key of %s %j", (key, given) => {
    const missing = keysInside(key, given).filter((name) => !rows.get(key)!.includes(`\`${name}\``));
    expect(missing).toEqual([]);
  });

  it.each(Object.keys(INSTALLATIONS))("says how to set what the file of %s leaves open", (stack) => {
    const open = (() => {
      try {
        parseConfig(stack, stackConfiguration(stack));
      } catch (error) {
        if (error instanceof ConfigError) return error.problems.map((problem) => problem.key);
        throw error;
      }
      return [];
    })();
    const part = stack === "onprem" ? "## A cluster of your own" : "## AWS from zero";
    const commands = text.slice(text.indexOf(part), text.indexOf("\n## ", text.indexOf(part) + 3));
    expect(open.filter((key) => !commands.includes(key))).toEqual([]);
  });

  it("speaks of every stack that there is", () => {
    const stacks = [...Object.keys(INSTALLATIONS), "local"];
    expect(LOCAL_CONFIGURATION.context).toBe("local");
    expect(stacks.filter((stack) => !text.includes(`| \`${stack}\``))).toEqual([]);
  });
});
