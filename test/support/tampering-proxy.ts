import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request as requestOf } from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

import type { S3Server } from "./s3-servers.js";

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}
/** Changes what the real server answered, as a server with a fault would have. */
export type Fault = (request: IncomingMessage, answer: Answer) => Partial<Answer> | void;

/** A real S3 server seen through something that has faults: only the answers are changed, everything else is real. */
export async function startTamperingProxy(
  server: S3Server,
): Promise<{ endpoint: string; fault: Fault; stop(): Promise<void> }> {
  const ca = readFileSync(server.caFile);
  const self = { fault: (() => undefined) as Fault, endpoint: "", stop: async () => undefined as void };
  const proxy = createServer((request, response) => {
    const upstream = requestOf(
      new URL(request.url!, server.endpoint),
      // The Host header too, because the signature is over it.
      { method: request.method!, headers: request.headers, ca },
      (answer) => {
        void buffer(answer).then((body) => {
          const real = { status: answer.statusCode!, headers: answer.headers, body: body.toString("latin1") };
          const { status, headers, body: told } = { ...real, ...self.fault(request, real) };
          const { "content-length": announced, ...others } = headers;
          delete others["transfer-encoding"];
          const length = request.method === "HEAD" ? announced : String(Buffer.byteLength(told, "latin1"));
          response.writeHead(status, { ...others, ...(length && { "content-length": length }) });
          response.end(Buffer.from(told, "latin1"));
        });
      },
    );
    upstream.on("error", () => response.destroy());
    request.pipe(upstream);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  self.endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  self.stop = async () => {
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  };
  return self;
}
