/** A document whose generated part has no place in it. */
export class NoSuchPartError extends Error {
  override readonly name = "NoSuchPartError";
}

/** The text with what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` replaced, for each name. */
export function withParts(text: string, parts: Readonly<Record<string, string>>): string {
  return Object.entries(parts).reduce((before, [name, part]) => {
    const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
    const from = before.indexOf(begin);
    const to = before.indexOf(end);
    if (from < 0 || to < from) {
      throw new NoSuchPartError(`the document has no ${begin} … ${end}: put the two lines where it belongs`);
    }
    return `${before.slice(0, from + begin.length)}\n${part.trim()}\n${before.slice(to)}`;
  }, text);
}

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
