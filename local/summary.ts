import type { StackOutputs } from "../infra/render.js";
import type { Fate, Run } from "./demo/jobs.js";
import { workerDid } from "./demo/jobs.js";
import type { Environment } from "./environment/environment.js";
import { table } from "./table.js";

/** What happened to each job and why, as a table. */
export function fatesTable(run: Run, fates: readonly Fate[]): string {
  const head = ["JOB", "TENANT", "VOLUME", "ITS WORKER", "NOW", "WHY", "FREED"];
  const rows = fates.map((fate) => [
    fate.job.jobId,
    fate.job.tenant,
    fate.job.slot,
    workerDid(fate.job),
    where(fate),
    fate.job.story === "active" ? `${fate.why}; heartbeat ${fate.heartbeatAgeSeconds} s ago` : fate.why,
    fate.freedBytes === null ? "" : mebibytes(fate.freedBytes),
  ]);
  const title = `What happened to the jobs of ${run.startedAt.slice(0, 19).replace("T", " ")} UTC (source.mp4: ${mebibytes(run.videoBytes)})`;
  return `${title}\n\n${table([head, ...rows])}`;
}

function where({ location, state, objects }: Fate): string {
  if (location === "object") return `in object storage (${objects} objects)`;
  return location === "none" ? "deleted" : `on its volume, ${state}`;
}

/** The stack's outputs in short, and where to look next. */
export function whereToLook(environment: Environment, outputs: StackOutputs, engine: string): string {
  const { cluster, logs, prometheus } = environment;
  const lines: [string, string][] = [
    ["deployed with", engine],
    ["contract version", String(outputs.contractVersion)],
    [
      "volumes",
      outputs.slots.map(({ name, capacityBytes }) => `${name} (${mebibytes(capacityBytes)})`).join(", "),
    ],
    ["tenants", outputs.tenants.map(({ id }) => id).join(", ")],
    ["object storage", outputs.objectStorage ? `bucket ${outputs.objectStorage.bucket}` : "none"],
    ["sweep", `${outputs.cleanup.cronJobs.join(", ")} at "${outputs.cleanup.schedule}"`],
  ];
  const next: [string, string][] = [
    ["the cluster", `npm run kubectl -- -n ${outputs.namespace} get pods,cronjobs,pvc`],
    [
      "the whole contract",
      `npm run kubectl -- -n ${outputs.namespace} get configmap video-storage-contract -o yaml`,
    ],
    ["the status page", "npm run status (--once in the terminal, --json for programs)"],
    ["the audit", "npm run audit"],
    ["Prometheus", prometheus],
    ["kubeconfig", cluster.kubeconfig],
    ["logs", logs],
    ["more jobs", "npm start -- --again [--video FILE]"],
    ["to stop, to remove", "npm run stop, npm run destroy"],
  ];
  return `The stack's outputs\n\n${pairs(lines)}\n\nWhere to look next\n\n${pairs(next)}`;
}

function pairs(entries: readonly [string, string][]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join("\n");
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
