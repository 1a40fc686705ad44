import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { compositeChecksum } from "@video-storage/worker/object-storage";

const PART_BYTES = 16 * 1024 * 1024;

/** The part of S3 that the cleanup job uses, on loopback, with faults to order. The real server is for test/local. */
export interface ObjectServer {
  readonly endpoint: string;
  /** By `/bucket/key`. */
  readonly objects: Map<string, Buffer>;
  /** As a worker does it that stages a job: content above 16 MiB goes in parts, and has their checksum. */
  stage(path: string, content: Buffer): void;
  fault: "none" | "unavailable" | "corrupts" | "keeps-no-checksum" | "hangs";
  stop(): Promise<void>;
}

export async function startObjectServer(): Promise<ObjectServer> {
  const objects = new Map<string, Buffer>();
  const composite = new Map<string, string>();
  const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("base64");
  const server = createServer(async (request, response) => {
    const key = decodeURIComponent(new URL(request.url!, "http://server").pathname);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const refuse = (status: number, code: string): void => {
      response.writeHead(status, { "content-type": "application/xml" });
      response.end(
        request.method === "HEAD" ? "" : `<Error><Code>${code}</Code><Message>${code}</Message></Error>`,
      );
    };
    if (self.fault === "hangs") return;
    if (self.fault === "unavailable") return refuse(503, "SlowDown");
    if (request.method === "PUT") {
      if (request.headers["if-none-match"] !== "*") return refuse(400, "ConditionExpected");
      if (objects.has(key)) return refuse(412, "PreconditionFailed");
      if (request.headers["x-amz-checksum-sha256"] !== sha256(body)) return refuse(400, "BadDigest");
      objects.set(key, self.fault === "corrupts" ? Buffer.from(body).fill(0, 0, 1) : body);
      return void response.end();
    }
    const content = objects.get(key);
    if (!content) return refuse(404, "NoSuchKey");
    response.setHeader("content-length", content.length);
    if (self.fault !== "keeps-no-checksum")
      response.setHeader("x-amz-checksum-sha256", composite.get(key) ?? sha256(content));
    response.end(request.method === "HEAD" ? "" : content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const self: ObjectServer = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    stage(path, content) {
      const digests: string[] = [];
      for (let at = 0; at < content.length; at += PART_BYTES) {
        digests.push(sha256(content.subarray(at, at + PART_BYTES)));
      }
      objects.set(path, content);
      if (digests.length > 1) composite.set(path, compositeChecksum(digests));
    },
    fault: "none",
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return self;
}
