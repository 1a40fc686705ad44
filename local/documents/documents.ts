import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { PROJECT } from "../paths.js";
import { withParts } from "./generated-parts.js";
import { componentReference, workerReference } from "./reference.js";
import { ttlPolicyParts } from "./ttl-policy.js";

/** Every document that is generated, or has generated parts, as it should be; by its path from the root. */
export async function generatedDocuments(): Promise<Map<string, string>> {
  const ttlPolicy = "docs/ttl-policy.md";
  const text = await readFile(join(PROJECT, ttlPolicy), "utf8");
  return new Map([
    [ttlPolicy, withParts(text, ttlPolicyParts())],
    ["docs/reference/components.md", componentReference().text],
    ["docs/reference/worker.md", workerReference().text],
  ]);
}
