import { spawn } from "node:child_process";
import { once } from "node:events";

import { describe, expect, it } from "vitest";

import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { PROJECT } from "../../local/paths.js";

/** Runs a program whose output is read up to its first piece. */
async function readOnce(...args: string[]): Promise<{ code: number | null; first: string; errors: string }> {
  const child = spawn(process.execPath, [...RUNS_TYPESCRIPT, ...args], { cwd: PROJECT });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const [first] = (await once(child.stdout, "data")) as [Buffer];
  child.stdout.destroy();
  const [code] = (await once(child, "close")) as [number | null];
  return { code, first: first.toString(), errors };
}

const program = (before: string): string[] => [
  "--input-type=module",
  "--eval",
  `import { endWithReaders } from ${JSON.stringify(`${PROJECT}/contract/src/closed-output.ts`)};
   ${before}
   setInterval(() => console.log("more"), 1);`,
];

describe("a command of which nobody reads more", () => {
  it("ends as by SIGPIPE, without a word", async () => {
    const { code, first, errors } = await readOnce(...program("endWithReaders();"));
    expect([code, first.startsWith("more"), errors]).toEqual([141, true, ""]);
  });

  it("would end with a stack by itself", async () => {
    const { code, errors } = await readOnce(...program(""));
    expect([code, errors]).toEqual([1, expect.stringContaining("EPIPE")]);
  });
});
