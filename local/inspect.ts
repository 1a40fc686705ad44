import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { readAudit, verifyChain } from "@video-storage/catalogue/audit";

import { buildPrograms } from "./build/programs.js";
import { recordedChoice } from "./cluster-choice.js";
import { run } from "./command.js";
import { openCatalogue } from "./environment/environment.js";
import { Failure } from "./failure.js";
import { stateDirectory } from "./paths.js";
import { table } from "./table.js";

/** Hands over to kubectl with the environment's kubeconfig, and exits as it does. */
export async function kubectl(
  { environment }: { environment: string },
  words: readonly string[],
): Promise<void> {
  const kubeconfig = join(stateDirectory(environment), "admin.kubeconfig");
  requireState(environment, kubeconfig);
  const [program, ...first] = await kubectlCommand(environment);
  const args = [...first, `--kubeconfig=${kubeconfig}`, ...words];
  const child = spawn(program, args, { stdio: "inherit" });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject).once("exit", (code) => resolve(code ?? 1));
  });
}

/** The kubectl of our own build; on a cluster that is not built here the user's own, where there is one. */
async function kubectlCommand(environment: string): Promise<[string, ...string[]]> {
  const choice = await recordedChoice(stateDirectory(environment));
  if (choice && choice.kind !== "built") {
    const found = await run("kubectl", ["version", "--client"]).catch(() => undefined);
    if (found?.code === 0) return ["kubectl"];
  }
  const programs = await buildPrograms(["kubernetes"]);
  return [join(programs["kubernetes"]!, "kubernetes"), "kubectl"];
}

/** Prints the audit trail, oldest first, and whether its chains are whole. */
export async function audit({ environment, json }: { environment: string; json?: boolean }): Promise<void> {
  const state = stateDirectory(environment);
  requireState(environment, join(state, "postgres-password"));
  const catalogue = await openCatalogue(environment);
  try {
    const entries = await readAudit(catalogue);
    const verification = verifyChain(entries);
    if (json) {
      entries.forEach((entry) => console.log(JSON.stringify(entry)));
    } else {
      const rows = entries
        .toSorted((a, b) => a.recordedAt.getTime() - b.recordedAt.getTime())
        .map(({ recordedAt, volume, sequence, tenantId, jobId, phase, action, reason, bytes, actor }) => [
          recordedAt.toISOString().slice(0, 19),
          `${volume} ${sequence}`,
          tenantId ?? "",
          jobId,
          `${action} ${phase}`,
          reason,
          bytes === null ? "" : String(bytes),
          actor,
        ]);
      console.log(table([["WHEN", "ROW", "TENANT", "JOB", "WHAT", "WHY", "BYTES", "BY"], ...rows]));
    }
    for (const { volume, sequence, problem } of verification.problems)
      console.error(`✗ ${volume} ${sequence}: ${problem}`);
    if (!verification.intact) process.exitCode = 1;
    else if (!json) console.log(`\n✓ ${verification.entries} rows, every chain whole`);
  } finally {
    await catalogue.close();
  }
}

/** Throws {@link Failure} where there is no such environment. */
export function requireState(environment: string, file: string): void {
  if (existsSync(file)) return;
  throw new Failure(`There is no environment named ${environment} here.`, "Run npm start first.");
}
