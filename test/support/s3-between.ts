import { createServer, request as forward } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What passes on its way to a real S3 server. */
export interface Request {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly headers: Record<string, string>;
  body: Buffer;
}

/** Someone between a client and a real S3 server, who sees and changes what passes. */
export interface Between {
  readonly endpoint: string;
  /** In the order in which they had come whole. */
  readonly passed: Omit<Request, "body">[];
  /** When the first bytes of a body have come; the rest waits. False where the connection is to end there. */
  first: (request: Request) => unknown;
  /** False where the connection is to end without an answer. */
  request: (request: Request) => unknown;
  /** The same when the server has answered. */
  response: (request: Request, response: IncomingMessage) => unknown;
  /** Lets everything pass untouched, and forgets what passed. */
  reset(): void;
  stop(): void;
}

const UNTOUCHED = { first: () => undefined, request: () => undefined, response: () => undefined };

export async function startBetween(endpoint: string): Promise<Between> {
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const request: Request = {
      method: incoming.method!,
      query: new URL(incoming.url!, endpoint).searchParams,
      headers: { ...(incoming.headers as Record<string, string>) },
      body: Buffer.alloc(0),
    };
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) {
      chunks.push(chunk as Buffer);
      if (chunks.length === 1 && (await self.first(request)) === false) return void outgoing.destroy();
    }
    request.body = Buffer.concat(chunks);
    self.passed.push({ method: request.method, query: request.query, headers: { ...request.headers } });
    if ((await self.request(request)) === false) return void outgoing.destroy();
    const { method, headers } = request;
    const there = forward(new URL(incoming.url!, endpoint), { method, headers }, (answer) => {
      if (self.response(request, answer) === false) return void outgoing.destroy();
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    there.once("error", () => outgoing.destroy());
    // A server that refuses answers before it has the body, and listens no more.
    if (headers["expect"] === undefined) there.end(request.body);
    else there.once("continue", () => there.end(request.body));
  };
  // The client may end what it sends, for another part's failure.
  const server: Server = createServer((incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const self: Between = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed: [],
    ...UNTOUCHED,
    reset() {
      Object.assign(self, UNTOUCHED);
      self.passed.length = 0;
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
  return self;
}
