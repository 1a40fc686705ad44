import { createHash } from "node:crypto";
import { jobPrefix } from "@video-storage/contract/layout";
import type { JobIdentity } from "@video-storage/contract/identity";

/*
 * A pack is a tar archive (POSIX.1-1988 ustar; names of over 100 bytes with a POSIX.1-2001 `path` record) of a job's
 * small files, by their names in the job. Its last member, INDEX_MEMBER, says where in the archive each begins:
 *   {"version": 1, "files": {"logs/run.log": {"offset": 512, "bytes": 5, "sha256": "…"}}}
 * The catalogue's rows say the same, so that one file is read by one request for its range; the index is for whoever
 * has the bucket and no catalogue. The bytes depend on the files alone: a retry makes the same archive under the same key.
 */

const BLOCK = 512;
const LONGEST_PLAIN_NAME = 100;
const PACK_NAME = /^\.pack-[0-9a-f]{32}\.tar$/;

/** No file of a job can have this name: it begins with a dot. */
export const INDEX_MEMBER = ".index.json";

export interface PackedFile {
  /** In the job, such as `logs/run.log`. */
  readonly name: string;
  /** Of its first byte in the archive. */
  readonly offset: number;
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** Where a pack with that content lies. Packs with other content have other keys, so none is ever overwritten. */
export function packKey({ tenantId, jobId }: JobIdentity, content: Buffer): string {
  const sha256 = createHash("sha256").update(content).digest("hex");
  return `${jobPrefix(tenantId, jobId)}.pack-${sha256.slice(0, 32)}.tar`;
}

/** Whether an object below a job's prefix is a pack. */
export function isPackName(name: string): boolean {
  return PACK_NAME.test(name);
}

/** Collects files in memory; `finish` makes the archive of them. */
export class PackBuilder {
  readonly #blocks: Buffer[] = [];
  readonly #files: PackedFile[] = [];
  #length = 0;

  /** Of the archive so far. */
  get length(): number {
    return this.#length;
  }

  get files(): readonly PackedFile[] {
    return this.#files;
  }

  add(name: string, content: Buffer): PackedFile {
    const sha256 = createHash("sha256").update(content).digest("hex");
    const offset = this.#append(name, content);
    const file = { name, offset, bytes: content.byteLength, sha256 };
    this.#files.push(file);
    return file;
  }

  finish(): Buffer {
    const files = this.#files.map(({ name, offset, bytes, sha256 }) => [name, { offset, bytes, sha256 }]);
    const index = { version: 1, files: Object.fromEntries(files) };
    this.#append(INDEX_MEMBER, Buffer.from(`${JSON.stringify(index)}\n`));
    return Buffer.concat([...this.#blocks, Buffer.alloc(2 * BLOCK)]);
  }

  #append(name: string, content: Buffer): number {
    if (Buffer.byteLength(name) > LONGEST_PLAIN_NAME) {
      const record = paxRecord("path", name);
      this.#push(header("pax-header", record.byteLength, "x"), record);
      this.#push(header(name.slice(0, LONGEST_PLAIN_NAME), content.byteLength, "0"));
    } else {
      this.#push(header(name, content.byteLength, "0"));
    }
    const offset = this.#length;
    this.#push(content);
    return offset;
  }

  #push(...parts: Buffer[]): void {
    for (const part of parts) {
      const padding = Buffer.alloc((BLOCK - (part.byteLength % BLOCK)) % BLOCK);
      this.#blocks.push(part, padding);
      this.#length += part.byteLength + padding.byteLength;
    }
  }
}

/** No times, owners or modes of the volume's: they aren't the files' own, and would make every archive another. */
function header(name: string, bytes: number, type: "0" | "x"): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, offset: number, length: number): void =>
    void block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, offset, "latin1");
  block.write(name, 0, LONGEST_PLAIN_NAME, "utf8");
  octal(0o640, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(bytes, 124, 12);
  octal(0, 136, 12);
  block.fill(" ", 148, 156);
  block.write(type, 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest);
  length += String(length + String(length).length).length;
  return Buffer.from(`${length}${rest}`);
}
