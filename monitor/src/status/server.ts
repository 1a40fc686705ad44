import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CatalogueRefusedError, CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import { InvalidIdentityError, parseJobId } from "@video-storage/contract/identity";
import { HOURS_OFFERED, VOLUME_SORTS } from "./model.js";
import type { VolumeSort } from "./model.js";
import type { PageFile } from "./page-files.js";
import type { StatusReader } from "./reader.js";

export interface ServerOptions {
  readonly reader: Pick<StatusReader, "status" | "volume" | "job" | "audit">;
  readonly files: readonly PageFile[];
  /** Where to listen. */
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Names, besides those of loopback and `host`, by which the page may be asked for. */
  readonly names?: readonly string[];
  /** Told what went wrong inside. */
  readonly onDefect: (error: unknown) => void;
}

export interface StatusServer {
  readonly url: string;
  readonly port: number;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Somebody listens there already. */
export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
  readonly host: string;
  readonly port: number;

  constructor(host: string, port: number) {
    super(`port ${port} of ${host} is taken by another program`);
    this.host = host;
    this.port = port;
  }
}

/** A request that can't be answered, and why. */
class RequestError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Well below the second in which an answer is promised: then what was known is shown. */
const PATIENCE_MILLISECONDS = 700;
const MAXIMUM_CONNECTIONS = 100;
const PAGE_SIZES = { default: 25, most: 100 };

// Nothing of another site runs, shows, sends or frames anything here; not even the page makes code or styles of text.
const HEADERS = {
  "content-security-policy": [
    ...[
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self'",
      "connect-src 'self'",
    ],
    ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
    ...["require-trusted-types-for 'script'", "trusted-types 'none'"],
  ].join("; "),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
} as const;

/** Serves the page and what it shows. Throws {@link PortTakenError}. */
export async function serveStatus(options: ServerOptions): Promise<StatusServer> {
  const files = new Map(options.files.map((file) => [file.path, { ...file, etag: etagOf(file) }]));
  const server = createServer((request, response) => {
    answer(request, response, options, files).catch((error: unknown) => {
      options.onDefect(error);
      if (!response.headersSent) sendJson(response, 500, { error: DEFECT });
      else response.destroy();
    });
  });
  server.maxConnections = MAXIMUM_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(error.code === "EADDRINUSE" ? new PortTakenError(options.host, options.port) : error);
    });
    server.listen(options.port, options.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}/`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const DEFECT = { code: "defect", message: "Something is wrong with this program; see where it was started." };

type Files = ReadonlyMap<string, PageFile & { readonly etag: string }>;

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: ServerOptions,
  files: Files,
): Promise<void> {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  try {
    if (!isAllowedHost(request.headers.host, [options.host, ...(options.names ?? [])])) {
      // Another site's name that was made to lead here (DNS rebinding) would let that site read what it gets.
      throw new RequestError(
        421,
        "unknown-host",
        `This page is not served under the name ${JSON.stringify(request.headers.host ?? "")}; --allow-host NAME allows one.`,
      );
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      throw new RequestError(
        405,
        "read-only",
        "Nothing can be changed here: only GET and HEAD are answered.",
      );
    }
    const url = new URL(request.url ?? "/", "http://status.invalid");
    const file = files.get(url.pathname);
    if (file) return sendFile(request, response, file);
    if (!url.pathname.startsWith("/api/")) throw new RequestError(404, "not-found", "There is no such page.");
    const body = await answerOf(url, options.reader);
    sendJson(response, 200, body);
  } catch (error) {
    const known = asRequestError(error);
    if (!known) throw error;
    sendJson(response, known.status, { error: { code: known.code, message: known.message } });
  }
}

async function answerOf(url: URL, reader: ServerOptions["reader"]): Promise<unknown> {
  const parameters = url.searchParams;
  switch (url.pathname) {
    case "/api/v1/status":
      return reader.status({ volumes: volumeQuery(parameters), patienceMilliseconds: PATIENCE_MILLISECONDS });
    case "/api/v1/volume": {
      const name = text(parameters, "name", 253);
      const hours = oneOf(parameters, "hours", HOURS_OFFERED.map(String), "24");
      const found = await reader.volume(name, Number(hours));
      if (!found)
        throw new RequestError(404, "no-such-volume", `There is no volume ${JSON.stringify(name)}.`);
      return found;
    }
    case "/api/v1/job":
      return reader.job(parseJobId(text(parameters, "id", 64)));
    case "/api/v1/audit": {
      const before = parameters.has("before")
        ? whole(parameters, "before", 0, Number.MAX_SAFE_INTEGER)
        : undefined;
      return reader.audit(text(parameters, "volume", 253), before);
    }
    default:
      throw new RequestError(
        404,
        "not-found",
        "There is no such answer; see docs/status.md for those that there are.",
      );
  }
}

function volumeQuery(parameters: URLSearchParams) {
  return {
    search: parameters.has("search") ? text(parameters, "search", 100) : "",
    sort: oneOf(parameters, "sort", VOLUME_SORTS, "fullness") as VolumeSort,
    page: parameters.has("page") ? whole(parameters, "page", 1, 1_000_000) : 1,
    pageSize: parameters.has("pageSize")
      ? whole(parameters, "pageSize", 1, PAGE_SIZES.most)
      : PAGE_SIZES.default,
  };
}

function text(parameters: URLSearchParams, name: string, longest: number): string {
  const value = parameters.get(name) ?? "";
  if (value.length <= longest) return value;
  throw new RequestError(
    400,
    "bad-parameter",
    `${name} has ${value.length} characters; at most ${longest} are allowed.`,
  );
}

function whole(parameters: URLSearchParams, name: string, least: number, most: number): number {
  const value = Number(parameters.get(name));
  if (/^\d+$/.test(parameters.get(name) ?? "") && value >= least && value <= most) return value;
  const given = JSON.stringify(parameters.get(name));
  throw new RequestError(
    400,
    "bad-parameter",
    `${name} is ${given}; it must be a whole number from ${least} to ${most}.`,
  );
}

function oneOf(
  parameters: URLSearchParams,
  name: string,
  allowed: readonly string[],
  fallback: string,
): string {
  const value = parameters.get(name) ?? fallback;
  if (allowed.includes(value)) return value;
  throw new RequestError(
    400,
    "bad-parameter",
    `${name} is ${JSON.stringify(value)}; it must be one of ${allowed.join(", ")}.`,
  );
}

function asRequestError(error: unknown): RequestError | undefined {
  if (error instanceof RequestError) return error;
  if (error instanceof InvalidIdentityError) return new RequestError(400, "bad-parameter", error.message);
  if (error instanceof CatalogueUnavailableError || error instanceof CatalogueRefusedError)
    return new RequestError(503, "catalogue-unreachable", error.message);
  return undefined;
}

/**
 * Whether a Host header names this program: by loopback or one of the names, with any port, as a port may be forwarded.
 */
export function isAllowedHost(header: string | undefined, names: readonly string[]): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec((header ?? "").toLowerCase());
  if (!match) return false;
  const name = match[1]!.replace(/^\[|\]$/g, "");
  return ["localhost", "127.0.0.1", "::1", ...names.map((n) => n.toLowerCase())].includes(name);
}

function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  file: PageFile & { etag: string },
): void {
  response.setHeader("etag", file.etag);
  response.setHeader("cache-control", "no-cache");
  if (request.headers["if-none-match"] === file.etag) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, { "content-type": file.type, "content-length": file.body.length });
  response.end(request.method === "HEAD" ? undefined : file.body);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": body.length,
    "cache-control": "no-store",
  });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

function etagOf({ body }: PageFile): string {
  return `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
}
