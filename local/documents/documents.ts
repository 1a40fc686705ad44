import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { PROJECT } from "../paths.js";
import { alertsParts } from "./alerts.js";
import { withParts } from "./generated-parts.js";
import { monitoringParts } from "./monitoring.js";
import { policiesParts } from "./policies.js";
import { componentReference, workerReference } from "./reference.js";
import { stateText, ttlPolicyParts } from "./ttl-policy.js";

/** Every document that is generated, or has generated parts, as it should be; by its path from the root. */
export async function generatedDocuments(): Promise<Map<string, string>> {
  const partly = async (path: string, parts: Readonly<Record<string, string>>) =>
    [path, withParts(await readFile(join(PROJECT, path), "utf8"), parts)] as const;
  return new Map([
    await partly("docs/alerts.md", alertsParts()),
    await partly("docs/monitoring.md", monitoringParts()),
    await partly("docs/policies.md", await policiesParts()),
    await partly("docs/ttl-policy.md", ttlPolicyParts()),
    await partly("docs/worker.md", { "states-as-text": stateText() }),
    ["docs/reference/components.md", componentReference().text],
    ["docs/reference/worker.md", workerReference().text],
  ]);
}
