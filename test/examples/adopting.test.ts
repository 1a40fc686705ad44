import { globSync } from "node:fs";

import { beforeAll, describe, expect, it } from "vitest";

import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { fenced, projectFile, tableRows } from "../documents/markdown.js";
import { declaredBy, EXAMPLES } from "../support/adopting-examples.js";
import type { Declared } from "../support/recorder.js";

const document = projectFile("docs/adopting-one-component.md");
const rows = tableRows(document.split("<!-- examples:begin -->")[1]!.split("<!-- examples:end -->")[0]!);

/** Every kind of resource and how many of it there are, as the document says it. */
function told({ resources }: Declared): string {
  const kinds = resources.map(({ type, custom }) =>
    type.startsWith("pulumi:providers:")
      ? `provider ${type.split(":").at(-1)!}`
      : custom
        ? type.split(":").at(-1)!
        : undefined,
  );
  const counts = new Map<string, number>();
  for (const kind of kinds) if (kind !== undefined) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const isProvider = (kind: string): boolean => kind.startsWith("provider ");
  return [...counts]
    .sort(([a], [b]) => Number(isProvider(a)) - Number(isProvider(b)) || (a < b ? -1 : 1))
    .map(([kind, count]) => (count === 1 ? kind : `${count} ${kind}`))
    .join(", ");
}

describe.each(EXAMPLES)("%s", (file) => {
  let program: Declared;
  beforeAll(async () => {
    program = await declaredBy(file);
  });

  it("declares what it says, each with a provider of its own", () => {
    const row = rows.find(([example]) => example!.endsWith(`](../${file})`));
    expect(row?.[2]).toBe(told(program));
    const ambient = program.resources.filter(
      ({ custom, type, provider }) => custom && !type.startsWith("pulumi:providers:") && provider === "",
    );
    expect(ambient.map(({ name }) => name)).toEqual([]);
  });

  it("finishes each component once", () => {
    const components = program.resources.filter(({ custom }) => !custom).map(({ urn }) => urn);
    expect([...program.finished].sort()).toEqual(components.sort());
  });
});

it("every component has an example", () => {
  const used = new Set(
    EXAMPLES.flatMap((file) =>
      [...projectFile(file).matchAll(/from "\.\.\/\.\.\/(components\/[\w-]+)\.js"/g)].map(
        (match) => `${match[1]}.ts`,
      ),
    ),
  );
  expect(globSync("components/*.ts", { cwd: PROJECT_DIRECTORY }).filter((file) => !used.has(file))).toEqual(
    [],
  );
});

describe("docs/adopting-one-component.md", () => {
  it("has every workspace that a component imports, and the versions of the lockfile", () => {
    const [text] = fenced(document, ["json"]);
    const theirs = JSON.parse(text!) as { workspaces: string[]; dependencies: Record<string, string> };
    const ours = JSON.parse(projectFile("package.json")) as {
      workspaces: string[];
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    // The policy pack is run by the engine and imported by nobody.
    const needed = ours.workspaces.filter((workspace) => workspace !== "policies");
    expect(theirs.workspaces).toEqual([
      "video-storage",
      ...needed.map((workspace) => `video-storage/${workspace}`),
    ]);
    const pinned = { ...ours.devDependencies, ...ours.dependencies };
    expect(theirs.dependencies).toEqual(
      Object.fromEntries(Object.keys(theirs.dependencies).map((name) => [name, pinned[name]])),
    );
  });
});
