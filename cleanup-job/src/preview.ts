import { existsSync } from "node:fs";
import type { Queryable } from "@video-storage/catalogue/connection";
import { decideByRow } from "@video-storage/catalogue/decision-by-row";
import { localJobsInPages } from "@video-storage/catalogue/local-jobs";
import type { CataloguedJob } from "@video-storage/catalogue/sweeping";
import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { InvalidDurationError, parseDuration } from "@video-storage/contract/durations";
import { rulesOf } from "@video-storage/contract/plan";
import type { Decision } from "@video-storage/contract/plan";
import type { Retention } from "@video-storage/contract/schemas";
import { readConfiguration, UsageError } from "./configuration.js";
import type { Reporter } from "./report.js";

const TIMES = ["uploaded", "completed", "failed", "abandoned"] as const;
const ACTIONS = ["tier", "delete", "keep"] as const;

/**
 * The settings with other times: `uploaded=1h,failed=2d,completedAction=delete`, or the file of other settings, whose
 * retention and tenants' retention count. Throws UsageError.
 */
export function withRetention(config: CleanupConfig, change: string): CleanupConfig {
  if (!change.includes("=")) {
    if (!existsSync(change)) {
      throw new UsageError(
        `--retention ${JSON.stringify(change)} is neither a list such as uploaded=1h,failed=2d nor a file of settings`,
      );
    }
    const { retention, tenantRetention } = readConfiguration(change);
    return { ...config, retention, tenantRetention };
  }
  const changes = Object.fromEntries(change.split(",").map((part) => changeOf(part.trim())));
  const retention: Retention = { ...config.retention, ...changes };
  return parseCleanupConfig({ ...config, retention });
}

function changeOf(part: string): [string, number | string] {
  const [name = "", value = ""] = part.split("=", 2);
  if (name === "completedAction") {
    if (ACTIONS.includes(value as (typeof ACTIONS)[number])) return [name, value];
    throw new UsageError(`completedAction ${JSON.stringify(value)} is none of ${ACTIONS.join(", ")}`);
  }
  if (!TIMES.includes(name as (typeof TIMES)[number])) {
    throw new UsageError(
      `--retention knows no ${JSON.stringify(name)}: use ${TIMES.join(", ")}, completedAction`,
    );
  }
  try {
    return [`${name}Seconds`, parseDuration(value)];
  } catch (error) {
    if (error instanceof InvalidDurationError) throw new UsageError(`${name}: ${error.message}`);
    throw error;
  }
}

/** How many jobs an action then takes that it doesn't take now. */
interface Change {
  jobs: number;
  bytes: number;
}

export interface PreviewSummary {
  /** Looked at. */
  readonly jobs: number;
  readonly newly: Readonly<Record<"delete" | "tier" | "keep", Readonly<Change>>>;
  /** Of those newly deleted. */
  readonly byTenant: Readonly<Record<string, Readonly<Change>>>;
}

const SHOWN = 1000;

/**
 * What the next sweeps would do otherwise with changed settings, by the catalogue alone: at most that, as a lock, a
 * pod or a record that says otherwise can still keep a job. Changes nothing, and needs no volume.
 */
export async function preview(
  catalogue: Queryable,
  report: Reporter,
  [now, then]: readonly [CleanupConfig, CleanupConfig],
  volume?: string,
): Promise<PreviewSummary> {
  const [rulesNow, rulesThen] = [rulesOf(now), rulesOf(then)];
  const newly = { delete: none(), tier: none(), keep: none() };
  const byTenant: Record<string, Change> = {};
  let jobs = 0;
  let changed = 0;
  for await (const page of localJobsInPages(catalogue, volume)) {
    for (const job of page) {
      jobs++;
      const before = decideByRow(job, rulesNow);
      const after = decideByRow(job, rulesThen);
      if (before.action === after.action) continue;
      const kind = after.action === "delete" || after.action === "tier" ? after.action : "keep";
      add(newly[kind], job);
      if (kind === "delete") add((byTenant[job.tenantId] ??= none()), job);
      if (++changed <= SHOWN) reportChange(report, job, before, after);
    }
  }
  if (changed > SHOWN) report({ event: "would-change", reason: `${changed - SHOWN} more are not shown` });
  const summary = { jobs, newly, byTenant };
  report({ event: "plan", ...summary });
  return summary;
}

function reportChange(report: Reporter, job: CataloguedJob, before: Decision, after: Decision): void {
  const { jobId, tenantId, volume, state, bytes } = job;
  report({
    ...{ event: "would-change", job: jobId, tenant: tenantId, volume, state, bytes },
    ...{ from: before.action, to: after.action, code: after.code, reason: after.reason },
  });
}

function none(): Change {
  return { jobs: 0, bytes: 0 };
}

function add(change: Change, { bytes }: CataloguedJob): void {
  change.jobs++;
  change.bytes += bytes ?? 0;
}
