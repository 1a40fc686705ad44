import { execFileSync } from "node:child_process";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import fc from "fast-check";
import { extract } from "tar-stream";
import { describe, expect, it } from "vitest";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import { INDEX_MEMBER, PackBuilder, isPackName, packKey } from "@video-storage/worker/pack";
import { sha256 } from "../support/sha256.js";

const identity = { tenantId: parseTenantId("acme"), jobId: newJobId() };

async function membersOf(archive: Buffer): Promise<Map<string, Buffer>> {
  const members = new Map<string, Buffer>();
  const reader = extract();
  reader.on("entry", (header, stream, next) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk) => chunks.push(chunk as Buffer));
    stream.on("end", () => {
      members.set(header.name, Buffer.concat(chunks));
      next();
    });
  });
  const ended = new Promise<void>((resolve, reject) => {
    reader.on("finish", () => resolve());
    reader.on("error", reject);
  });
  reader.end(archive);
  await ended;
  return members;
}

const fileName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
const files = fc.uniqueArray(
  fc.record({
    name: fc.oneof(
      fileName,
      fileName.map((name) => `logs/${name}`),
    ),
    content: fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
  }),
  { selector: ({ name }) => name, maxLength: 20 },
);

describe("a pack", () => {
  it("is an archive that anybody can read, with the files where its index and its builder say", async () => {
    await fc.assert(
      fc.asyncProperty(files, async (given) => {
        const builder = new PackBuilder();
        for (const { name, content } of given) builder.add(name, content);
        const placed = [...builder.files];
        const archive = builder.finish();
        expect(archive.byteLength % 512).toBe(0);
        const members = await membersOf(archive);
        const index = JSON.parse(members.get(INDEX_MEMBER)!.toString()) as {
          files: Record<string, { offset: number; bytes: number; sha256: string }>;
        };
        members.delete(INDEX_MEMBER);
        expect([...members]).toEqual(given.map(({ name, content }) => [name, content]));
        for (const [i, { name, offset, bytes, sha256: sum }] of placed.entries()) {
          expect(archive.subarray(offset, offset + bytes).equals(given[i]!.content)).toBe(true);
          expect(sum).toBe(sha256(given[i]!.content));
          expect(index.files[name]).toEqual({ offset, bytes, sha256: sum });
        }
      }),
      { numRuns: 100 },
    );
  });

  it("is read by tar(1), long names too", async () => {
    const directory = await fs.mkdtemp(`${tmpdir()}/pack-`);
    const builder = new PackBuilder();
    const long = `logs/${"n".repeat(128)}`;
    builder.add(long, Buffer.from("one"));
    builder.add("frame.jpg", Buffer.from("two"));
    await fs.writeFile(`${directory}/pack.tar`, builder.finish());
    execFileSync("tar", ["-xf", "pack.tar"], { cwd: directory });
    expect(await fs.readFile(`${directory}/${long}`, "utf8")).toBe("one");
    expect(await fs.readFile(`${directory}/frame.jpg`, "utf8")).toBe("two");
    await fs.rm(directory, { recursive: true });
  });

  it("of the same files is the same, under the same key; of others it is another", () => {
    const archive = (content: string): Buffer => {
      const builder = new PackBuilder();
      builder.add("a", Buffer.from(content));
      return builder.finish();
    };
    expect(archive("x").equals(archive("x"))).toBe(true);
    const key = packKey(identity, archive("x"));
    expect(key).toBe(packKey(identity, archive("x")));
    expect(key).not.toBe(packKey(identity, archive("y")));
    const prefix = `tenants/acme/jobs/${identity.jobId}/`;
    expect(key.startsWith(prefix)).toBe(true);
    expect(isPackName(key.slice(prefix.length))).toBe(true);
    expect(isPackName("pack.tar")).toBe(false);
  });
});
