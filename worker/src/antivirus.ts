import { createHash } from "node:crypto";
import { once } from "node:events";
import type { FileHandle } from "node:fs/promises";
import net from "node:net";
import type { FileRecord } from "@video-storage/contract/job-record";
import type { ScanSettings } from "@video-storage/contract/schemas";
import { ContentMismatchError, ScannerUnavailableError } from "./errors.js";

/** What clamd said about one content. */
export interface Verdict {
  readonly verdict: "clean" | "infected" | "undecided";
  /** The signature that was found, or why there is no decision. */
  readonly detail?: string;
}

/** An open scan: bytes go in as they come, so that nothing is kept for it a second time. */
export interface Scan {
  /** Waits while clamd is busy. Never throws: what went wrong is the verdict's to say. */
  send(chunk: Uint8Array): Promise<void>;
  /** All was sent. Throws {@link ScannerUnavailableError} when clamd wasn't reached or didn't answer. */
  verdict(): Promise<Verdict>;
  /** Gives it up. */
  abort(): void;
}

const CHUNK_BYTES = 256 * 1024;

/**
 * Begins a scan by clamd's INSTREAM over TCP (https://docs.clamav.net/manual/Usage/Scanning.html#clamd). A content that
 * is larger or takes longer than the settings allow is undecided; which bytes of it were looked at says nothing then.
 */
export function beginScan(settings: ScanSettings): Scan {
  const { host, port, maxBytes, timeoutSeconds } = settings;
  const socket = net.connect({ host, port });
  let bytes = 0;
  let decided: Verdict | undefined;
  let problem: string | undefined;
  const reply: Buffer[] = [];
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("data", (data: Buffer) => reply.push(data));
  socket.on("error", (error) => (problem ??= error.message));
  const timer = setTimeout(() => {
    // While there is no connection it is clamd that is away, and not the file that is slow.
    if (socket.connecting) problem = `no connection within ${timeoutSeconds} s`;
    else decided ??= { verdict: "undecided", detail: `no verdict within ${timeoutSeconds} s` };
    socket.destroy();
  }, timeoutSeconds * 1000);
  void closed.then(() => clearTimeout(timer));
  socket.write("zINSTREAM\0");

  const write = async (data: Uint8Array): Promise<void> => {
    if (socket.destroyed || socket.writableEnded) return;
    if (!socket.write(data)) await Promise.race([once(socket, "drain").catch(() => undefined), closed]);
  };
  return {
    async send(chunk) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes && !decided) {
        decided = { verdict: "undecided", detail: `it has more than the ${maxBytes} bytes that are scanned` };
        socket.destroy();
      }
      for (let offset = 0; offset < chunk.byteLength && !decided; offset += CHUNK_BYTES) {
        const part = chunk.subarray(offset, offset + CHUNK_BYTES);
        const header = Buffer.alloc(4);
        header.writeUInt32BE(part.byteLength);
        await write(header);
        await write(part);
      }
    },
    async verdict() {
      if (!decided) await write(Buffer.alloc(4));
      if (!decided && !socket.destroyed) await closed;
      clearTimeout(timer);
      socket.destroy();
      if (decided) return decided;
      const text = Buffer.concat(reply).toString("utf8").replaceAll("\0", "").trim();
      const read = readReply(text);
      if (read) return read;
      throw new ScannerUnavailableError(
        `clamd at ${host}:${port} gave no verdict (${problem ?? "it closed the connection"}): ` +
          `nothing leaves the volume until it answers`,
      );
    },
    abort() {
      clearTimeout(timer);
      socket.destroy();
    },
  };
}

/**
 * Scans an open file from its beginning, as {@link beginScan}. Throws {@link ContentMismatchError} when it isn't the
 * content that was recorded: a verdict is about one content, and whoever writes there may exchange it.
 */
export async function scanFile(
  settings: ScanSettings,
  file: FileHandle,
  expected: FileRecord,
): Promise<Verdict> {
  const { size } = await file.stat();
  if (size > settings.maxBytes) {
    return {
      verdict: "undecided",
      detail: `it has ${size} bytes, and ${settings.maxBytes} are scanned at most`,
    };
  }
  const scan = beginScan(settings);
  const hash = createHash("sha256");
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let position = 0; ;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, position);
      if (bytesRead === 0) {
        const verdict = await scan.verdict();
        if (verdict.verdict === "undecided" || hash.digest("hex") === expected.sha256) return verdict;
        throw new ContentMismatchError(
          `a file was changed after it was written: it wasn't let off the volume`,
        );
      }
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
      // The socket keeps what it couldn't send yet, and the buffer is used again.
      await scan.send(Buffer.from(buffer.subarray(0, bytesRead)));
    }
  } finally {
    scan.abort();
  }
}

/** Undefined when it is no verdict. */
export function readReply(text: string): Verdict | undefined {
  const found = /^stream: (.+) FOUND$/.exec(text)?.[1];
  // With AlertExceedsMax clamd says so when it didn't look at all of it.
  if (found?.startsWith("Heuristics.Limits.Exceeded")) return { verdict: "undecided", detail: found };
  if (found !== undefined) return { verdict: "infected", detail: found.slice(0, 200) };
  if (text === "stream: OK") return { verdict: "clean" };
  if (/ERROR$/.test(text)) return { verdict: "undecided", detail: text.slice(0, 200) };
  return undefined;
}
