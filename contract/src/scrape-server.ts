import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { EXPOSITION_CONTENT_TYPE } from "./exposition.js";

export interface ScrapeServerOptions {
  /** Default: every address of the machine, which in a pod is the pod's own. */
  readonly host?: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Asked at each scrape, for Prometheus' text format. That it throws is answered with 500. */
  readonly metrics: () => Promise<string>;
  /** Told why a scrape could not be answered. Default: nobody. */
  readonly onError?: (error: unknown) => void;
}

/** Something that Prometheus scrapes. */
export interface ScrapeServer {
  readonly host: string;
  readonly port: number;
  /** Lets the process end while it still listens. */
  unref(): void;
  close(): Promise<void>;
}

// Prometheus asks once and reads at once. Who is slower, or asks for more at a time, is not Prometheus.
const REQUEST_MILLISECONDS = 10_000;
const IDLE_MILLISECONDS = 30_000;
const MAXIMUM_CONNECTIONS = 64;
const MAXIMUM_HEADER_BYTES = 8_192;

/**
 * Answers `GET /metrics`, and `GET /healthz` with 200 as long as the process lives; nothing else, and it changes
 * nothing. Rejects when the port can't be had.
 */
export async function serveScrapes(options: ScrapeServerOptions): Promise<ScrapeServer> {
  const server = createServer({
    requestTimeout: REQUEST_MILLISECONDS,
    headersTimeout: REQUEST_MILLISECONDS,
    keepAliveTimeout: IDLE_MILLISECONDS,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: MAXIMUM_HEADER_BYTES,
  });
  server.maxConnections = MAXIMUM_CONNECTIONS;
  server.on("request", (request, response) => {
    const answer = (status: number, body: string, type = "text/plain; charset=utf-8"): void => {
      response.writeHead(status, {
        "Content-Type": type,
        "Content-Length": Buffer.byteLength(body),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
      });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    // A body that somebody sends is not waited for.
    request.resume();
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      return answer(405, "only GET and HEAD are answered\n");
    }
    const path = (request.url ?? "").split("?", 1)[0];
    if (path === "/healthz") return answer(200, "ok\n");
    if (path !== "/metrics") return answer(404, "there are /metrics and /healthz\n");
    options.metrics().then(
      (text) => answer(200, text, EXPOSITION_CONTENT_TYPE),
      (error: unknown) => {
        options.onError?.(error);
        // Why is for the log: it may name hosts.
        answer(500, "the metrics could not be collected; the log says why\n");
      },
    );
  });
  await listening(server, options);
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    unref: () => void server.unref(),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listening(server: Server, { host, port }: ScrapeServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host !== undefined && { host }) }, () => {
      server.removeListener("error", reject);
      // Afterwards an error is a connection's that could not be accepted.
      server.on("error", () => undefined);
      resolve();
    });
  });
}
