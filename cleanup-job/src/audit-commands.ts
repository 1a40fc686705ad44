import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import {
  BrokenAuditError,
  archiveAudit,
  pruneCatalogue,
  verifyAudit,
} from "@video-storage/catalogue/archive";
import { streamAudit } from "@video-storage/catalogue/audit";
import type { AuditAnchor } from "@video-storage/catalogue/audit";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { UsageError } from "./configuration.js";
import { EXIT_CODES } from "./exit-codes.js";
import { reporterFor } from "./report.js";

interface AuditOptions {
  readonly json: boolean;
  readonly volume?: string;
}

/** What the program's other commands have in common with these. */
export interface CommandParts<Options> {
  readonly common: (command: Command) => Command;
  readonly withCatalogue: (options: Options, work: (catalogue: Catalogue) => Promise<void>) => Promise<void>;
}

/** Adds `verify`, `export`, `archive` and `prune`. Each holds a page of rows in memory, however long the audit is. */
export function addAuditCommands<Options>(
  audit: Command,
  { common, withCatalogue }: CommandParts<Options>,
): void {
  common(audit.command("verify"))
    .description("prove that no row of the audit was changed, removed or put in between")
    .option("--volume <name>", "one volume's chain only")
    .option("--archives <dir>", "where its archived parts are; without it they count as unchecked")
    .option("--anchors <file>", "JSON: the anchors that an earlier verification printed")
    .action(async (options: Options & AuditOptions & { archives?: string; anchors?: string }) => {
      const anchors = options.anchors === undefined ? [] : readAnchors(options.anchors);
      if (options.archives !== undefined) await requireDirectory(options.archives);
      await withCatalogue(options, async (catalogue) => {
        const report = reporterFor(process.stdout, options.json);
        const {
          intact,
          entries,
          unchecked,
          problems,
          problemsFound,
          anchors: heads,
        } = await verifyAudit(catalogue, {
          anchors,
          ...(options.volume !== undefined && { volume: options.volume }),
          ...(options.archives !== undefined && { archiveDirectory: options.archives }),
        });
        for (const problem of problems) report({ event: "broken", level: "error", ...problem });
        report({
          ...{ event: "verified", level: intact ? "info" : "error" },
          ...{ intact, entries, unchecked, problems: problemsFound, anchors: heads },
        });
        if (!intact) process.exitCode = EXIT_CODES.auditBroken;
      });
    });

  common(audit.command("export"))
    .description("write the audit to stdout, one JSON object per row; archived rows are in their files")
    .option("--volume <name>", "one volume's rows only")
    .action(async (options: Options & AuditOptions) => {
      await withCatalogue(options, async (catalogue) => {
        const lines = async function* (): AsyncGenerator<string> {
          for await (const entry of streamAudit(catalogue, options.volume))
            yield `${JSON.stringify(entry)}\n`;
        };
        await pipeline(Readable.from(lines()), process.stdout, { end: false });
      });
    });

  common(audit.command("archive"))
    .description("move the oldest rows of the audit into files; needs the archivist's login")
    .requiredOption("--directory <dir>", "where the files go, and stay")
    .option("--volume <name>", "one volume's rows only")
    .action(async (options: Options & AuditOptions & { directory: string }) => {
      await requireDirectory(options.directory);
      await withCatalogue(options, async (catalogue) => {
        const report = reporterFor(process.stdout, options.json);
        try {
          const rows = await archiveAudit(catalogue, {
            directory: options.directory,
            ...(options.volume !== undefined && { volume: options.volume }),
            onPart: (part) => report({ event: "archived", ...part }),
          });
          report({ event: "archive-finished", rows });
        } catch (error) {
          if (!(error instanceof BrokenAuditError)) throw error;
          report({ event: "broken", level: "error", reason: error.message });
          process.exitCode = EXIT_CODES.auditBroken;
        }
      });
    });

  common(audit.command("prune"))
    .description(
      "remove what has been over for long from the catalogue's other tables; needs the archivist's login",
    )
    .action(async (options: Options & AuditOptions) => {
      await withCatalogue(options, async (catalogue) => {
        reporterFor(process.stdout, options.json)({ event: "pruned", ...(await pruneCatalogue(catalogue)) });
      });
    });
}

function readAnchors(file: string): AuditAnchor[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new UsageError(`the anchors can't be read from ${file}: ${(error as Error).message}`);
  }
  // The whole line that a verification printed will do as well.
  const list = Array.isArray(value) ? (value as unknown[]) : (value as { anchors?: unknown } | null)?.anchors;
  const isAnchor = (entry: unknown): entry is AuditAnchor => {
    const { volume, sequence, hash } = (entry ?? {}) as Partial<AuditAnchor>;
    return (
      typeof volume === "string" && Number.isSafeInteger(sequence) && /^[0-9a-f]{64}$/.test(String(hash))
    );
  };
  if (!Array.isArray(list) || !list.every(isAnchor))
    throw new UsageError(
      `${file} must hold [{volume, sequence, hash}], or what "audit verify --json" printed`,
    );
  return list;
}

async function requireDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch(() => undefined);
  if (!found?.isDirectory())
    throw new UsageError(`${directory} is no directory: make it, or mount the volume for it`);
}
