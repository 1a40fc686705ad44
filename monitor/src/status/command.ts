import { existsSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { connect, credentialsFrom } from "@video-storage/catalogue/connection";
import { CLEANUP_CONFIG_FILE } from "@video-storage/contract/cleanup-config";
import { CATALOGUE_CREDENTIALS_DIRECTORY, CONTRACT_FILE } from "@video-storage/contract/stack-contract";
import { UsageError, readCleanupConfig, readContract } from "../documents.js";
import { runStatus } from "./run.js";
import type { ShowOptions } from "./run.js";

interface StatusOptions extends ShowOptions {
  readonly contract: string;
  readonly catalogueCredentials: string;
  readonly catalogue?: { host: string; port: number };
  readonly cleanupConfig?: string;
  readonly prometheus?: string;
}

/** What every way of showing the status has, wherever its sources come from. */
export function addShowOptions(command: Command): Command {
  return command
    .option("--once", "print the status for a terminal and end", false)
    .option("--json", "print the status as one JSON object and end", false)
    .option(
      "--no-verify",
      "with --once or --json: don't prove the audit's chains, which takes long for a long audit",
    )
    .option("--search <text>", "with --once or --json: only volumes whose name, node or tenant has it")
    .option(
      "--volumes <number>",
      "with --once or --json: so many volumes, the fullest first",
      wholeFrom(1, 1000),
      25,
    )
    .option("--host <address>", "address to serve the page on", "127.0.0.1")
    .option(
      "--port <number>",
      "port to serve the page on; without it 8417, or the next one that is free",
      wholeFrom(0, 65_535),
    )
    .option(
      "--expose",
      "allow a --host that others can reach: there is no login, and everybody may read",
      false,
    )
    .option("--allow-host <name...>", "names, besides localhost, by which the page may be asked for", [])
    .addHelpText(
      "after",
      `
Without --once or --json a page is served until Ctrl-C, on this machine only. It reads and changes nothing.

Exit codes:
  0  all is well; or the page was served and stopped
  1  something needs a look or fails, or can't be reached; the output says what
  2  wrong usage or settings`,
    );
}

/** Adds `status` to a program. */
export function addStatusCommand(program: Command): void {
  addShowOptions(
    program
      .command("status")
      .description("show volumes, jobs, sweeps, the audit and alerts: as a page, for a terminal, or as JSON")
      .option(
        "--contract <file>",
        "the stack's contract, as pulumi stack output --json has it",
        CONTRACT_FILE,
      )
      .option(
        "--catalogue-credentials <dir>",
        "holds username and password of the auditor's login",
        CATALOGUE_CREDENTIALS_DIRECTORY,
      )
      .option(
        "--catalogue <host:port>",
        "where the catalogue is reached from here (default: as the contract says)",
        hostAndPort,
      )
      .option(
        "--cleanup-config <file>",
        `the sweep's settings, for tenants' own times and pressure (default: ${CLEANUP_CONFIG_FILE} if it is there)`,
      )
      .option("--prometheus <url>", "a Prometheus that has the storage's metrics and alerts", webAddress),
  ).action(async (options: StatusOptions) => {
    const contract = readContract(options.contract);
    const file = options.cleanupConfig ?? (existsSync(CLEANUP_CONFIG_FILE) ? CLEANUP_CONFIG_FILE : undefined);
    const cleanup = file === undefined ? undefined : readCleanupConfig(file);
    const credentials = await credentialsFrom(options.catalogueCredentials).catch(
      ({ code }: NodeJS.ErrnoException) => {
        throw new UsageError(
          `the auditor's login can't be read from ${options.catalogueCredentials} (${code}): name a directory with the files username and password`,
        );
      },
    );
    const catalogue = connect({ ...contract.catalogue, ...options.catalogue, ...credentials });
    try {
      process.exitCode = await runStatus(
        { contract, cleanup, catalogue, prometheus: options.prometheus },
        options,
      );
    } finally {
      await catalogue.close();
    }
  });
}

function wholeFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

function hostAndPort(text: string): { host: string; port: number } {
  const match = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(text);
  if (match) return { host: match[1]!, port: wholeFrom(1, 65_535)(match[2]!) };
  throw new InvalidArgumentError("It must be a host and a port, such as 127.0.0.1:5432.");
}

function webAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !["http:", "https:"].includes(url.protocol))
    throw new InvalidArgumentError("It must be an address such as http://127.0.0.1:9090.");
  // Every user of the machine sees a command's words.
  if (url.username || url.password) throw new InvalidArgumentError("It must not hold a name or password.");
  return text;
}
