import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Shell scripts that stand for programs, first on PATH; each writes down how it was called. */
export interface FakePrograms {
  readonly directory: string;
  /** The calls so far, each as one line: name and arguments. */
  calls(): Promise<string[]>;
  replace(name: string, script: string): Promise<void>;
  /** Puts PATH back. */
  remove(): Promise<void>;
}

export async function fakePrograms(scripts: Readonly<Record<string, string>>): Promise<FakePrograms> {
  const directory = await mkdtemp(join(tmpdir(), "fake-programs-"));
  const log = join(directory, "calls");
  const path = process.env["PATH"]!;
  const replace = (name: string, script: string): Promise<void> =>
    writeFile(join(directory, name), `#!/bin/sh\necho "${name} $*" >> ${log}\n${script}\n`, { mode: 0o755 });
  for (const [name, script] of Object.entries(scripts)) await replace(name, script);
  process.env["PATH"] = `${directory}:${path}`;
  return {
    directory,
    replace,
    calls: async () =>
      (await readFile(log, "utf8").catch(() => "")).split("\n").filter((line) => line !== ""),
    remove: async () => {
      process.env["PATH"] = path;
      await rm(directory, { recursive: true });
    },
  };
}
