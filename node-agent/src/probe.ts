import type { CommandRunner } from "./runner.js";

/** What blkid finds on one block device, by its own names of the fields. */
export type Probe = Readonly<Record<string, string>>;

const NOTHING_FOUND = 2;
const CONTRADICTORY = 8;

/** Looks at the device itself, past every cache. Several signatures at once are reported as `AMBIVALENT`. */
export async function probe(runner: CommandRunner, device: string): Promise<Probe> {
  const { code, stdout } = await runner.run("blkid", ["--probe", "--output", "export", device], {
    answers: [NOTHING_FOUND, CONTRADICTORY],
  });
  if (code === CONTRADICTORY) return { AMBIVALENT: "1" };
  return parseProbe(stdout.toString());
}

/** Reads `NAME=value` lines, in which blkid puts a backslash before what a shell would take for its own. */
export function parseProbe(text: string): Probe {
  return Object.fromEntries(
    text
      .split("\n")
      .map((line) => line.split(/=(.*)/s))
      .filter(([name, value]) => name && value !== undefined)
      .map(([name, value]) => [name!, value!.replaceAll(/\\(.)/g, "$1")]),
  );
}

/** Every signature on the device, by name: `gpt`, `ext4`, `crypto_LUKS`. */
export async function signatures(runner: CommandRunner, device: string): Promise<string[]> {
  const { stdout } = await runner.run("wipefs", ["--no-act", "--json", device]);
  const text = stdout.toString().trim();
  if (text === "") return [];
  const { signatures: found } = JSON.parse(text) as { signatures: { type: string }[] };
  return [...new Set(found.map(({ type }) => type))];
}

export interface Partition {
  readonly node: string;
  readonly name: string;
  /** GUID of its type, in lower case. */
  readonly type: string;
  readonly startBytes: number;
  readonly bytes: number;
}

export interface PartitionTable {
  readonly label: string;
  readonly partitions: readonly Partition[];
  /** First byte behind the last one that a partition may use. */
  readonly endBytes: number;
}

/** The device's partition table; undefined where there is none that can be read. */
export async function partitionTable(
  runner: CommandRunner,
  device: string,
): Promise<PartitionTable | undefined> {
  const { code, stdout } = await runner.run("sfdisk", ["--json", device], { answers: [1] });
  return code === 0 ? parsePartitionTable(stdout.toString()) : undefined;
}

export function parsePartitionTable(text: string): PartitionTable {
  const { partitiontable: table } = JSON.parse(text) as {
    partitiontable: {
      label: string;
      lastlba?: number;
      sectorsize?: number;
      partitions?: { node: string; start: number; size: number; type: string; name?: string }[];
    };
  };
  const sector = table.sectorsize ?? 512;
  return {
    label: table.label,
    endBytes: ((table.lastlba ?? 0) + 1) * sector,
    partitions: (table.partitions ?? []).map(({ node, start, size, type, name = "" }) => ({
      node,
      name,
      type: type.toLowerCase(),
      startBytes: start * sector,
      bytes: size * sector,
    })),
  };
}
