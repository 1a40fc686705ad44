import { describe, expect, it } from "vitest";

import { cleanupConfigSchema } from "@video-storage/contract/cleanup-config";
import { jobRecordSchema } from "@video-storage/contract/job-record";
import { parseNodeAgentConfig } from "@video-storage/contract/node-agent-config";
import { parseObjectStorageCapabilities } from "@video-storage/contract/object-storage-capabilities";
import { stackContractSchema } from "@video-storage/contract/stack-contract";

import { jobRecord } from "../support/documents.js";
import { projectFile, section, tableRows } from "./markdown.js";

const upgrading = projectFile("docs/upgrading.md");
const changelog = projectFile("CHANGELOG.md");
const packageFile = JSON.parse(projectFile("package.json")) as { version: string };

/** Whether a parser takes a version of its document: it says so before anything else that is wrong. */
function refusesVersion(parse: (value: unknown) => unknown, version: number): boolean {
  try {
    parse({ version });
    return false;
  } catch (error) {
    return String(error).includes("reads only");
  }
}

describe("docs/upgrading.md", () => {
  const versions = new Map(
    tableRows(upgrading.split("<!-- versions:begin -->")[1]!.split("<!-- versions:end -->")[0]!).map(
      ([name, version]) => [name!, Number(version)],
    ),
  );

  it("has the version of each document", () => {
    expect([...versions.keys()]).toEqual([
      "the stack's contract, `contractVersion`",
      "`metadata.json`, `version`",
      "`cleanup.json`, `version`",
      "`node-agent.json`, `version`",
      "the probe's report, `version`",
    ]);
    const [contract, record, cleanup, agent, report] = versions.values();
    expect(stackContractSchema.shape.contractVersion.value).toBe(contract);
    expect(cleanupConfigSchema.shape.version.value).toBe(cleanup);
    const readable = (version: number): boolean =>
      jobRecordSchema.safeParse({ ...jobRecord(), version }).success;
    expect([readable(record!), readable(record! + 1)]).toEqual([true, false]);
    for (const [parse, version] of [
      [parseNodeAgentConfig, agent],
      [parseObjectStorageCapabilities, report],
    ] as const) {
      expect([refusesVersion(parse, version!), refusesVersion(parse, version! + 1)]).toEqual([false, true]);
    }
  });

  it("names Jobs as the program names them", () => {
    const named = [...section(upgrading, "Steps").matchAll(/`([a-z-]+)-…`/g)].map((match) => match[1]!);
    expect(named).toEqual(["catalogue-migrations", "object-storage-probe", "object-storage-setup", "place"]);
  });
});

describe("CHANGELOG.md", () => {
  it("has the version of the package, below what isn't released", () => {
    const headings = [...changelog.matchAll(/^## (.+)$/gm)].map((match) => match[1]!);
    expect(headings.slice(0, 2)).toEqual(["Unreleased", packageFile.version]);
  });

  it("says the versions of documents that docs/upgrading.md has", () => {
    const latest = section(changelog, packageFile.version);
    expect(latest).toContain(
      "contract 1, job record 1, settings of the sweep 1, settings of the node agent 1.",
    );
  });
});

describe("every workspace", () => {
  const { workspaces } = JSON.parse(projectFile("package.json")) as { workspaces: string[] };
  it.each(workspaces)("%s has the version of the whole", (workspace) => {
    const { version } = JSON.parse(projectFile(`${workspace}/package.json`)) as { version: string };
    expect(version).toBe(packageFile.version);
  });
});
