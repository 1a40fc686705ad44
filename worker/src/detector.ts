import { rules } from "@secretlint/secretlint-rule-preset-recommend";

/**
 * The forms of providers' secrets as the project secretlint knows and keeps them. Its own engine is asynchronous and
 * made for files; the rules themselves need little: a host that takes what they report.
 */
interface Handler {
  file(source: { content: string; filePath: string; ext: string; contentType: "text" }): unknown;
}

interface Rule {
  readonly meta: { readonly id: string };
  create(context: object, options: object): Handler;
}

let found: [start: number, end: number][] = [];

const host = {
  createTranslator: () => (key: string) => ({ message: key, messageId: key }),
  report: ({ range }: { range: readonly [number, number] }) => void found.push([range[0], range[1]]),
  ignore: () => undefined,
};

const handlers: readonly Handler[] = (rules as unknown as readonly Rule[])
  // That one reads comments by which people silence the others.
  .filter(({ meta }) => !meta.id.endsWith("filter-comments"))
  .map((rule) => rule.create(host, { enableIDScanRule: true }));

/** Where secrets lie in a text, from left to right and apart from each other. */
export function detectSecrets(content: string): readonly (readonly [start: number, end: number])[] {
  found = [];
  for (const handler of handlers) handler.file({ content, filePath: "text", ext: "", contentType: "text" });
  const merged: [number, number][] = [];
  for (const [start, end] of found.sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
}
