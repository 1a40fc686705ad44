import { access } from "node:fs/promises";
import { join } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { connect, credentialsFrom } from "@video-storage/catalogue/connection";
import { CLEANUP_CONFIG_FILE } from "@video-storage/contract/cleanup-config";
import { EXPORTER_PORT } from "@video-storage/contract/metrics";
import { serveScrapes } from "@video-storage/contract/scrape-server";
import { CATALOGUE_CREDENTIALS_DIRECTORY, CONTRACT_FILE } from "@video-storage/contract/stack-contract";
import { UsageError, readCleanupConfig, readContract } from "../documents.js";
import { exporterOf } from "./exporter.js";
import type { ExporterDocuments } from "./exporter.js";

interface ExporterOptions {
  readonly contract: string;
  readonly cleanupConfig: string;
  readonly catalogueCredentials: string;
  readonly host?: string;
  readonly port: number;
  readonly cache: number;
}

/** Less than the ten seconds that Prometheus waits by default. */
const TIMEOUT_SECONDS = 8;
const CONNECT_MILLISECONDS = 3_000;

export function addExporterCommand(program: Command): void {
  program
    .command("exporter")
    .description("serve what the catalogue says of the storage, for Prometheus to scrape")
    .option("--contract <file>", "the stack's contract", CONTRACT_FILE)
    .option(
      "--cleanup-config <file>",
      "the sweep's settings, for the times that jobs are kept",
      CLEANUP_CONFIG_FILE,
    )
    .option("--catalogue-credentials <dir>", "holds username and password", CATALOGUE_CREDENTIALS_DIRECTORY)
    .option("--host <address>", "listen there only (default: everywhere)")
    .option("--port <port>", "listen there; 0 for any that is free", wholeNumber(0, 65_535), EXPORTER_PORT)
    .option("--cache <seconds>", "give the same answer for that long", wholeNumber(0, 300), 5)
    .addHelpText(
      "after",
      `
Answers GET /metrics and GET /healthz, reads only, and needs the catalogue's login "monitor". While the catalogue is
away, /metrics says video_storage_catalogue_up 0 with status 200, and /healthz stays well: a restart would mend nothing.
It runs until SIGTERM or SIGINT, and says when the catalogue goes and comes, a line of JSON each.

Exit codes:
  0  asked to stop
  1  the port could not be had
  2  wrong usage, contract, settings or credentials`,
    )
    .action(serve);
}

async function serve(options: ExporterOptions): Promise<void> {
  const documents = (): ExporterDocuments => ({
    contract: readContract(options.contract),
    retention: readCleanupConfig(options.cleanupConfig),
  });
  // Read now as well: what is wrong with them is then said at once. Where the catalogue is counts from now on.
  const { catalogue: address } = readContract(options.contract);
  documents();
  const catalogue = connect({
    ...address,
    ...(await readCredentials(options.catalogueCredentials)),
    connectTimeoutMilliseconds: CONNECT_MILLISECONDS,
    statementTimeoutMilliseconds: TIMEOUT_SECONDS * 1000,
  });
  const metrics = exporterOf({
    ...{ catalogue, documents, cacheSeconds: options.cache, timeoutSeconds: TIMEOUT_SECONDS },
    onChange: (up, reason) => {
      log(up ? { event: "catalogue-back" } : { level: "warning", event: "catalogue-away", reason });
    },
  });
  const server = await serveScrapes({
    ...(options.host !== undefined && { host: options.host }),
    port: options.port,
    metrics,
    onError: (error) => log({ level: "error", event: "scrape-failed", reason: (error as Error).message }),
  });
  log({ event: "listening", host: server.host, port: server.port });
  await stopped();
  await server.close();
  await catalogue.close();
}

async function readCredentials(directory: string): ReturnType<typeof credentialsFrom> {
  try {
    await access(join(directory, "password"));
    return await credentialsFrom(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `the catalogue's credentials can't be read from ${directory} (${code}): mount the Secret of the login ` +
        `"monitor" there or name another place`,
    );
  }
}

function stopped(): Promise<void> {
  return new Promise((resolve) => process.once("SIGTERM", () => resolve()).once("SIGINT", () => resolve()));
}

function log({ level = "info", ...fields }: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, ...fields })}\n`);
}

function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`must be a whole number from ${minimum} to ${maximum}.`);
  };
}
