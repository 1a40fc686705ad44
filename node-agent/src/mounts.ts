import { readFile } from "node:fs/promises";

export interface Mount {
  readonly target: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** What is mounted where, as this process sees it; of mounts on one place the last, which covers the others. */
export async function mounts(): Promise<Map<string, Mount>> {
  return parseMounts(await readFile("/proc/self/mountinfo", "utf8"));
}

export function parseMounts(text: string): Map<string, Mount> {
  const found = new Map<string, Mount>();
  for (const line of text.split("\n")) {
    const [before, after] = line.split(" - ");
    if (after === undefined) continue;
    const [, , , , target, options] = before!.split(" ");
    const [type, source] = after.split(" ");
    found.set(unescaped(target!), {
      target: unescaped(target!),
      type: type!,
      source: unescaped(source!),
      options: options!.split(","),
    });
  }
  return found;
}

/** The kernel writes blanks and backslashes as three octal digits. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
