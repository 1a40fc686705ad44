import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export { cacheDirectory } from "./cache-directory.mjs";

/** The checkout. */
export const PROJECT = dirname(dirname(fileURLToPath(import.meta.url)));

/** What an environment writes lies here, ignored by git, and goes with `npm run destroy`. */
export function stateDirectory(environment: string): string {
  return join(PROJECT, ".local", environment);
}

/** A short name for exactly these inputs, to keep results of different inputs apart. */
export function fingerprint(...parts: (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(String(part.length)).update(":").update(part);
  return hash.digest("hex").slice(0, 16);
}
