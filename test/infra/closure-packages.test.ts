import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";

const run = promisify(execFile);

/** Loads Pulumi and has it write a function down and list the packages that this needs; tells what was loaded when. */
const PROGRAM = `
  import { createRequire } from "node:module";
  const require = createRequire(process.argv[1]);
  const { runtime } = require("@pulumi/pulumi");
  const loaded = () =>
    ["typescript", "@npmcli/arborist"].filter((name) => require.resolve(name) in require.cache);
  const atFirst = loaded();
  const one = 1;
  const { text } = await runtime.serializeFunction((number) => number + one);
  const paths = [...(await runtime.computeCodePaths()).keys()].length;
  console.log(JSON.stringify({ atFirst, text, paths, inTheEnd: loaded() }));
`;

async function told(...options: string[]): Promise<Record<string, unknown>> {
  const words = [...options, "--input-type=module", "--eval", PROGRAM, `${PROJECT_DIRECTORY}/infra/index.ts`];
  const { stdout } = await run(process.execPath, words, { cwd: PROJECT_DIRECTORY });
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("the packages that Pulumi writes functions down with", () => {
  it("are loaded when it does, and what it writes is the same", async () => {
    const [late, early] = await Promise.all([told("--import", "./infra/closure-packages.mjs"), told()]);
    const both = ["typescript", "@npmcli/arborist"];
    expect([late["atFirst"], late["inTheEnd"]]).toEqual([[], both]);
    expect(early["atFirst"]).toEqual(both);
    expect(late["text"]).toMatch(/number \+ one/);
    expect([late["text"], late["paths"]]).toEqual([early["text"], early["paths"]]);
    expect(late["paths"]).toBeGreaterThan(0);
  });
});
