import { isIP } from "node:net";
import type { Catalogue } from "@video-storage/catalogue/connection";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import type { StackContract } from "@video-storage/contract/stack-contract";
import { UsageError } from "../documents.js";
import { AuditVerifier, keepVerifying } from "./audit.js";
import { pageFiles } from "./page-files.js";
import { connectPrometheus } from "./prometheus.js";
import { StatusReader } from "./reader.js";
import { PortTakenError, serveStatus } from "./server.js";
import type { ServerOptions, StatusServer } from "./server.js";
import { formatStatus } from "./terminal.js";

export interface RunSources {
  /** With a login that may read only. */
  readonly catalogue: Catalogue;
  readonly contract: StackContract;
  readonly cleanup: CleanupConfig | undefined;
  /** Address of Prometheus. */
  readonly prometheus: string | undefined;
}

export interface ShowOptions {
  readonly once: boolean;
  readonly json: boolean;
  /** Whether `--once` and `--json` prove the audit first. */
  readonly verify: boolean;
  readonly search?: string;
  readonly volumes: number;
  readonly host: string;
  readonly port?: number;
  readonly expose: boolean;
  readonly allowHost: readonly string[];
}

const DEFAULT_PORT = 8417;
const PORTS_TRIED = 20;
const VERIFY_EVERY_SECONDS = 300;
/** Where the output is no terminal, so that long lines stay whole. */
const WIDTH_OF_FILES = 200;
const LEAST_WIDTH = 60;

/** Shows the status as the options say, and returns the exit code. Throws {@link UsageError}. */
export async function runStatus(sources: RunSources, options: ShowOptions): Promise<number> {
  if (options.once && options.json) throw new UsageError("--once and --json exclude each other");
  const verifier = new AuditVerifier(sources.catalogue);
  const prometheus = sources.prometheus === undefined ? undefined : connectPrometheus(sources.prometheus);
  const reader = new StatusReader({ ...sources, prometheus, verifier });
  if (!options.once && !options.json) return servePage(reader, verifier, options);
  if (options.verify) await verifier.verify();
  const volumes = {
    search: options.search ?? "",
    sort: "fullness",
    page: 1,
    pageSize: options.volumes,
  } as const;
  const status = await reader.status({ volumes, patienceMilliseconds: Infinity });
  const { isTTY, columns } = process.stdout;
  const width = isTTY ? Math.max(LEAST_WIDTH, columns) : WIDTH_OF_FILES;
  // https://no-color.org: set to anything but nothing.
  const colour = isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
  process.stdout.write(
    options.json ? `${JSON.stringify(status)}\n` : formatStatus(status, { width, colour }),
  );
  return status.level === "ok" ? 0 : 1;
}

async function servePage(
  reader: StatusReader,
  verifier: AuditVerifier,
  options: ShowOptions,
): Promise<number> {
  if (!isLoopback(options.host) && !options.expose) {
    throw new UsageError(
      `--host ${options.host} can be reached from other machines, and the page asks nobody for a password: add --expose if that is meant`,
    );
  }
  const server = await listen(options, {
    ...{ reader, files: await pageFiles(), host: options.host, names: options.allowHost },
    onDefect: (error) => console.error(error),
  });
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
  void keepVerifying(verifier, { leastSeconds: VERIFY_EVERY_SECONDS, stop: stop.signal });
  console.log(`The status page is at ${server.url}\nCtrl-C ends it.`);
  await stopped;
  stop.abort();
  await server.close();
  console.log("Stopped.");
  return 0;
}

/** The port that was asked for; else the usual one, or one of the next. */
async function listen(options: ShowOptions, server: Omit<ServerOptions, "port">): Promise<StatusServer> {
  if (options.port !== undefined) {
    return serveStatus({ ...server, port: options.port }).catch((error: unknown) => {
      if (!(error instanceof PortTakenError)) throw error;
      throw new UsageError(`${error.message}: name another with --port, or none for the next free one`);
    });
  }
  for (let port = DEFAULT_PORT; port < DEFAULT_PORT + PORTS_TRIED; port++) {
    try {
      return await serveStatus({ ...server, port });
    } catch (error) {
      if (!(error instanceof PortTakenError)) throw error;
      console.log(`Port ${port} is taken; trying the next.`);
    }
  }
  throw new UsageError(
    `ports ${DEFAULT_PORT} to ${DEFAULT_PORT + PORTS_TRIED - 1} of ${options.host} are all taken: name one with --port`,
  );
}

/** Only addresses: what a name leads to can change. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
