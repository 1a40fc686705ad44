import { readFileSync } from "node:fs";

/** A document's text, without what lies between code fences. */
export function prose(text: string): string {
  return text.replace(/^```[^]*?^```$/gm, "");
}

/** What lies between code fences of one of the languages. */
export function fenced(text: string, languages: readonly string[]): string[] {
  return [...text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)]
    .filter(([, language]) => languages.includes(language!))
    .map(([, , code]) => code!);
}

/** The section below a heading, up to the next one of the same or a higher level. Throws when there is none. */
export function section(text: string, heading: string): string {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === heading);
  if (start < 0) throw new Error(`there is no heading ${JSON.stringify(heading)}`);
  const level = /^#+/.exec(lines[start]!)![0].length;
  const length = lines
    .slice(start + 1)
    .findIndex((line) => /^#+ /.test(line) && /^#+/.exec(line)![0].length <= level);
  return lines.slice(start + 1, length < 0 ? undefined : start + 1 + length).join("\n");
}

/** The cells of every row of every table, without head and rule. */
export function tableRows(text: string): string[][] {
  const lines = text.split("\n");
  return lines.flatMap((line, index) => {
    const isRule = (other: string | undefined): boolean => /^\|[\s:|-]+\|$/.test(other ?? "");
    if (!line.startsWith("|") || isRule(line) || isRule(lines[index + 1])) return [];
    const cells = line
      .slice(1, line.lastIndexOf("|"))
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
    return [cells];
  });
}

/** What stands in backticks. */
export function inBackticks(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
}

/** The anchor that GitHub gives a heading. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
}

/** The anchors of all headings. */
export function anchors(text: string): Set<string> {
  return new Set([...prose(text).matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1]!)));
}

/** A file of the project as text. */
export function projectFile(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}
