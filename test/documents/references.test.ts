import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { describe, expect, it } from "vitest";

import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { anchors, inBackticks, projectFile, prose } from "./markdown.js";

const DOCUMENTS = globSync(
  ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "worker/README.md", "docs/**/*.md"],
  { cwd: PROJECT_DIRECTORY },
).sort();

const { scripts } = JSON.parse(projectFile("package.json")) as { scripts: Record<string, string> };
const FOLDERS = globSync("*/", { cwd: PROJECT_DIRECTORY, exclude: ["node_modules"] });

/** A path of the project: with a folder of ours in front, and nothing that stands for something else. */
function isPath(text: string): boolean {
  return (
    FOLDERS.some((folder) => text.startsWith(`${folder.replace(/\/$/, "")}/`)) && /^[\w./-]+$/.test(text)
  );
}

describe.each(DOCUMENTS)("%s", (document) => {
  const text = projectFile(document);

  it("links to files and headings that there are", () => {
    const broken = [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1]!)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [path, anchor] = target.split("#") as [string, string?];
        const file = path === "" ? document : join(dirname(document), path);
        if (!existsSync(join(PROJECT_DIRECTORY, file))) return true;
        return anchor !== undefined && !anchors(projectFile(file)).has(anchor);
      });
    expect(broken).toEqual([]);
  });

  it("names files that there are", () => {
    const absent = inBackticks(prose(text))
      .filter(isPath)
      .filter((path) => !existsSync(join(PROJECT_DIRECTORY, path)));
    expect(absent).toEqual([]);
  });

  it("names commands of npm that there are", () => {
    const named = [...text.matchAll(/\bnpm run ([a-z][\w:-]*)/g)].map((match) => match[1]!);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  });
});

describe("the documents", () => {
  it("are each linked from the README or from a document that is", () => {
    const reached = new Set(["README.md"]);
    for (const document of reached) {
      for (const [, target] of projectFile(document).matchAll(/\]\(([^)#\s]+\.md)[^)]*\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        reached.add(join(dirname(document), target!));
      }
    }
    expect(DOCUMENTS.filter((document) => !reached.has(document))).toEqual([]);
  });

  it("hold no path of the machine that they were written on", () => {
    const found = DOCUMENTS.filter((document) =>
      /\/work\/|\/root\//.test(readFileSync(join(PROJECT_DIRECTORY, document), "utf8")),
    );
    expect(found).toEqual([]);
  });
});
