/** One series as Prometheus' text format has it. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const UNESCAPED: Readonly<Record<string, string>> = { n: "\n", "\\": "\\", '"': '"' };

/** What a scrape said, in its order. Throws at a line that is none. Labels that are empty are left out, as none are. */
export function scraped(text: string): Series[] {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const match = LINE.exec(line);
    if (!match) throw new Error(`not a line of Prometheus' text format: ${line}`);
    const labels = [...(match[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [
      name!,
      value!.replace(/\\(.)/g, (_, character: string) => UNESCAPED[character] ?? character),
    ]);
    return {
      name: match[1]!,
      labels: Object.fromEntries(labels.filter(([, value]) => value !== "")) as Record<string, string>,
      value: Number(match[3]),
    };
  });
}

/** By `name{label=value,…}`, with labels in order, so that a test may say what it expects in one line each. */
export function bySeries(series: readonly Series[]): Record<string, number> {
  return Object.fromEntries(
    series.map(({ name, labels, value }) => {
      const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
      return [`${name}{${entries.map(([label, text]) => `${label}=${text}`).join(",")}}`, value];
    }),
  );
}
