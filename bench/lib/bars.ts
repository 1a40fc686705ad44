import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

/** One comparison: ours beside theirs, and what their ratio has to be. */
export interface Bar {
  /** What was done, in words without spaces. */
  readonly work: string;
  readonly ours: number;
  readonly theirs: number;
  /** `ours / theirs`. */
  readonly ratio: number;
  /** The bar: `atMost` where less is better, `atLeast` where more is. */
  readonly needs: { readonly atMost: number } | { readonly atLeast: number };
  readonly ok: boolean;
}

const RESULTS = fileURLToPath(new URL("../results/", import.meta.url));

/** The middle of the values; between the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error("there is no median of nothing");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Runs both by turns, so that what else the machine does falls on both, after a round that isn't counted.
 * Returns every figure; `median` of each is what a bar takes.
 */
export async function pairs(
  rounds: number,
  ours: () => Promise<number>,
  theirs: () => Promise<number>,
): Promise<{ ours: number[]; theirs: number[] }> {
  const figures = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const first = round % 2 === 0;
    const a = await (first ? ours() : theirs());
    const b = await (first ? theirs() : ours());
    if (round === 0) continue;
    figures.ours.push(first ? a : b);
    figures.theirs.push(first ? b : a);
  }
  return figures;
}

/** Collects a benchmark's bars and figures, prints them as they come, and writes them down. */
export class Results {
  private readonly bars: Bar[] = [];
  private readonly figures: Record<string, unknown> = {};
  private readonly notRun: string[] = [];
  private readonly name: string;

  /** @param name of the benchmark, and of its file in bench/results. */
  constructor(name: string) {
    this.name = name;
  }

  bar(work: string, ours: number, theirs: number, needs: Bar["needs"]): void {
    const ratio = ours / theirs;
    const ok = "atMost" in needs ? ratio <= needs.atMost : ratio >= needs.atLeast;
    this.bars.push({ work, ours, theirs, ratio, needs, ok });
    const bound = "atMost" in needs ? `<=${needs.atMost}` : `>=${needs.atLeast}`;
    console.log(
      `bar ${work} ours=${short(ours)} theirs=${short(theirs)} ratio=${short(ratio)} needs=${bound} ${ok ? "ok" : "short"}`,
    );
  }

  /** A figure without a bar, such as what others need for the same. */
  figure(name: string, value: unknown): void {
    this.figures[name] = value;
    console.log(`figure ${name} ${typeof value === "number" ? short(value) : JSON.stringify(value)}`);
  }

  /** A part that this machine can't run, and why. */
  skipped(what: string, why: string): void {
    this.notRun.push(`${what}: ${why}`);
    console.log(`not run: ${what}: ${why}`);
  }

  /** Writes bench/results/NAME.json and returns the exit code: 1 if a bar was missed. */
  finish(): number {
    mkdirSync(RESULTS, { recursive: true });
    const result = {
      name: this.name,
      at: new Date().toISOString(),
      machine: { cpus: cpus().length, memoryBytes: totalmem(), node: process.version },
      bars: this.bars,
      figures: this.figures,
      notRun: this.notRun,
    };
    const file = `${RESULTS}${this.name}.json`;
    writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);
    const missed = this.bars.filter(({ ok }) => !ok).length;
    console.log(`${this.bars.length} bars, ${missed} short; raw figures in bench/results/${this.name}.json`);
    return missed === 0 ? 0 : 1;
  }
}

function short(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
