import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { open, rename } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import type { AuditEntry, ChainLink } from "./audit.js";

/**
 * One part of a volume's audit as a file: gzipped text, a JSON object on each line. The first says what it is; each
 * other is a row, in its order: `payload` is what was hashed, and `hash` is sha256 of `previousHash` and it.
 */
interface Header {
  readonly format: "video-storage audit";
  readonly version: 1;
  readonly volume: string;
  readonly fromSequence: number;
  readonly toSequence: number;
}

/** A file that is not what its place says: damaged, of another part, or of a later release. */
export class InvalidArchiveError extends Error {
  override readonly name = "InvalidArchiveError";
}

/** A name that no other part has, whatever the volume is called. */
export function archiveFileName(volume: string, fromSequence: number, toSequence: number): string {
  const encoded = encodeURIComponent(volume);
  const name = encoded.length <= 150 ? encoded : createHash("sha256").update(volume).digest("hex");
  return `audit-${name}-${fromSequence}-${toSequence}.ndjson.gz`;
}

/**
 * Writes the part under its final name once it is complete. Durable when it returns. The result is the SHA-256 of the
 * text, in lower-case hexadecimal.
 */
export async function writeArchiveFile(
  directory: string,
  fileName: string,
  range: { readonly volume: string; readonly fromSequence: number; readonly toSequence: number },
  pages: AsyncIterable<readonly AuditEntry[]>,
): Promise<string> {
  const digest = createHash("sha256");
  const header: Header = { format: "video-storage audit", version: 1, ...range };
  const text = async function* (): AsyncGenerator<string> {
    const lines = (values: readonly unknown[]): string => {
      const chunk = values.map((value) => `${JSON.stringify(value)}\n`).join("");
      digest.update(chunk);
      return chunk;
    };
    yield lines([header]);
    for await (const page of pages) {
      yield lines(
        page.map(({ sequence, payload, previousHash, hash }) => ({ sequence, payload, previousHash, hash })),
      );
    }
  };
  const file = path.join(directory, fileName);
  const temporary = `${file}.partial`;
  await pipeline(Readable.from(text()), createGzip(), createWriteStream(temporary, { mode: 0o640 }));
  await synced(temporary);
  await rename(temporary, file);
  await synced(directory);
  return digest.digest("hex");
}

/**
 * The rows of a part, one at a time; the generator's result is the SHA-256 of the text. Throws
 * {@link InvalidArchiveError}, and the file system's own error when it isn't there.
 */
export async function* readArchiveFile(
  file: string,
  range: { readonly volume: string; readonly fromSequence: number; readonly toSequence: number },
): AsyncGenerator<ChainLink, string, undefined> {
  const wrong = (what: string): InvalidArchiveError => new InvalidArchiveError(`${file} ${what}`);
  const digest = createHash("sha256");
  const source = createReadStream(file);
  const content = source.pipe(createGunzip());
  source.on("error", (error) => content.destroy(error));
  content.on("data", (chunk: Buffer) => digest.update(chunk));
  let rows = 0;
  let isHeader = true;
  try {
    for await (const line of createInterface({ input: content, crlfDelay: Infinity })) {
      const value = JSON.parse(line) as Header & ChainLink;
      if (isHeader) {
        isHeader = false;
        const { format, version, volume, fromSequence, toSequence } = value;
        if (format !== "video-storage audit") throw wrong("is no archive of the audit");
        if ((version as number) !== 1) throw wrong(`has version ${version}, and this program reads only 1`);
        if (volume !== range.volume || fromSequence !== range.fromSequence || toSequence !== range.toSequence)
          throw wrong(`holds rows ${fromSequence} to ${toSequence} of volume ${volume}`);
        continue;
      }
      rows += 1;
      const { sequence, payload, previousHash, hash } = value;
      yield {
        volume: range.volume,
        sequence,
        payload: String(payload),
        previousHash: String(previousHash),
        hash,
      };
    }
  } catch (error) {
    if (error instanceof InvalidArchiveError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof SyntaxError || code?.startsWith("Z_")) throw wrong(`is damaged: ${message}`);
    throw error;
  } finally {
    source.destroy();
  }
  if (rows !== range.toSequence - range.fromSequence + 1) throw wrong(`has ${rows} rows`);
  return digest.digest("hex");
}

async function synced(name: string): Promise<void> {
  const handle = await open(name, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
