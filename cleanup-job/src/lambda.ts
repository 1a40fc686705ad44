import { z } from "zod";
import { CatalogueUnavailableError, connect } from "@video-storage/catalogue/connection";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { objectStorageDuties } from "@video-storage/contract/object-storage-capabilities";
import { rulesOf } from "@video-storage/contract/plan";
import { connectObjectStorage } from "@video-storage/worker/object-storage";
import { openBucket } from "./bucket.js";
import { UsageError } from "./configuration.js";
import { openRoot } from "./deletion/handles.js";
import { janitor } from "./janitor.js";
import type { JanitorSummary } from "./janitor.js";
import { jsonReporter } from "./report.js";
import type { Reporter } from "./report.js";
import { withBreaker } from "./store-breaker.js";
import { toldToMonitoring } from "./sweep-metrics.js";
import { sweep } from "./sweep.js";
import type { SweepSummary } from "./sweep.js";

/*
 * The same sweep for teams without Kubernetes: an AWS Lambda over an EFS mount and S3. What differs from a CronJob:
 * a lock on a directory of EFS is seen on one machine only, so that here the heartbeat alone says that a worker lives,
 * and the function's own concurrency of 1 that no two sweeps run at once.
 */

/** What the function's environment says; none of it is a secret. */
export const LAMBDA_ENVIRONMENT = {
  /** The cleanup config as JSON. `checkPods` is false and `objectStorage.credentials` is ambient. */
  config: "VIDEO_STORAGE_CLEANUP_CONFIG",
  /** JSON: [{"name": the volume's name in the catalogue, "path": where it is mounted or lies}]. */
  volumes: "VIDEO_STORAGE_VOLUMES",
  /** A secret of AWS Secrets Manager: {"username": …, "password": …}, read by the extension of AWS. */
  catalogueSecret: "VIDEO_STORAGE_CATALOGUE_SECRET",
} as const;

/** No job is begun when so little of the function's time is left; what is in hand then has nearly all of it. */
const LAST_JOB_MILLISECONDS = 60_000;
/** What is in hand is left for the next sweep. */
const LAST_STEP_MILLISECONDS = 10_000;
const SECRET_MILLISECONDS = 5_000;

export interface LambdaContext {
  readonly awsRequestId: string;
  readonly functionName: string;
  getRemainingTimeInMillis(): number;
}

export interface LambdaResult {
  readonly volumes: Readonly<Record<string, SweepSummary>>;
  /** Undefined when there is no bucket, or its period isn't over. */
  readonly janitor?: JanitorSummary;
}

/** Something failed; the next invocation tries again. Thrown so that the function's errors count it. */
export class SweepFailedError extends Error {
  override readonly name = "SweepFailedError";
}

/**
 * Sweeps every volume once, then looks after the bucket if it is time. Throws {@link SweepFailedError} when a job or a
 * volume failed, CatalogueUnavailableError when the catalogue is away: nothing is deleted from then on.
 */
export async function handler(_event: unknown, lambda: LambdaContext): Promise<LambdaResult> {
  const report = jsonReporter((line) => void process.stdout.write(line));
  const config = configuration();
  const deadline = deadlines(lambda);
  const catalogue = connect({ ...config.catalogue, ...(await catalogueLogin()) });
  try {
    return await sweepAll({
      config,
      catalogue,
      report,
      actor: `${lambda.functionName} ${lambda.awsRequestId}`,
      functionName: lambda.functionName,
      ...deadline,
    });
  } catch (error) {
    if (error instanceof CatalogueUnavailableError) {
      report({ event: "swept", level: "error", result: "catalogue-unavailable", reason: error.message });
    }
    throw error;
  } finally {
    deadline.clear();
    await catalogue.close();
  }
}

interface Invocation {
  readonly config: CleanupConfig;
  readonly catalogue: Catalogue;
  readonly report: Reporter;
  readonly actor: string;
  readonly functionName: string;
  readonly stop: AbortSignal;
  readonly stopNow: AbortSignal;
}

async function sweepAll(invocation: Invocation): Promise<LambdaResult> {
  const { config, report, stop } = invocation;
  const { objectStorage, tiering } = config;
  const connected =
    objectStorage && connectObjectStorage(objectStorage, undefined, { concurrency: tiering.concurrency });
  let isAway = false;
  const away = (reason: string): void => {
    isAway = true;
    report({ event: "attention", level: "error", code: "object-storage-away", reason });
  };
  const store = connected ? withBreaker(connected, away) : undefined;
  const summaries: Record<string, SweepSummary> = {};
  let failed = 0;
  try {
    for (const { name, path } of volumes()) {
      if (stop.aborted) break;
      try {
        const root = await openRoot(path);
        try {
          const rules = rulesOf(config);
          const { trashSeconds } = config.retention;
          const context = { ...invocation, volume: name, root, rules, trashSeconds, tiering, store };
          const told = { node: invocation.functionName, objectStorageAway: () => isAway, bucket: undefined };
          summaries[name] = await toldToMonitoring(
            sweep,
            { ...context, pods: undefined },
            config.metrics,
            told,
          );
          failed += summaries[name].failed;
        } finally {
          await root.close();
        }
      } catch (error) {
        if (error instanceof CatalogueUnavailableError) throw error;
        failed++;
        report({ event: "failed", level: "error", volume: name, reason: (error as Error).message });
      }
    }
    const tidied = await tidy(invocation);
    failed += tidied?.failed ?? 0;
    if (failed > 0) {
      throw new SweepFailedError(
        `${failed} failures, each of them in the log: the next invocation tries again`,
      );
    }
    return { volumes: summaries, ...(tidied && { janitor: tidied }) };
  } finally {
    store?.close();
  }
}

async function tidy(invocation: Invocation): Promise<JanitorSummary | undefined> {
  const { config, stop } = invocation;
  const settings = config.objectStorage;
  if (!settings || config.janitor.periodSeconds === 0 || stop.aborted) return undefined;
  const duties = objectStorageDuties(null);
  const open = async () => openBucket(settings, undefined);
  const summary = await janitor({ ...invocation, bucketName: settings.bucket, open, duties });
  return summary.result === "not-due" ? undefined : summary;
}

function deadlines(lambda: LambdaContext): { stop: AbortSignal; stopNow: AbortSignal; clear(): void } {
  const [stop, stopNow] = [new AbortController(), new AbortController()];
  const left = lambda.getRemainingTimeInMillis();
  const after = (controller: AbortController, reserve: number): NodeJS.Timeout =>
    setTimeout(() => controller.abort(), Math.max(0, left - reserve));
  const timers = [after(stop, LAST_JOB_MILLISECONDS), after(stopNow, LAST_STEP_MILLISECONDS)];
  return { stop: stop.signal, stopNow: stopNow.signal, clear: () => timers.forEach(clearTimeout) };
}

function configuration(): CleanupConfig {
  const config = parseCleanupConfig(json(LAMBDA_ENVIRONMENT.config));
  if (config.checkPods) throw new UsageError("checkPods must be false: there is no Kubernetes to ask here");
  if (config.objectStorage && config.objectStorage.credentials !== "ambient") {
    throw new UsageError(
      "objectStorage.credentials must be ambient: the function has a role and no access key",
    );
  }
  return config;
}

const volumesSchema = z
  .array(z.strictObject({ name: z.string().min(1).max(253), path: z.string().startsWith("/") }))
  .min(1);

function volumes(): z.infer<typeof volumesSchema> {
  const result = volumesSchema.safeParse(json(LAMBDA_ENVIRONMENT.volumes));
  if (result.success) return result.data;
  throw new UsageError(`${LAMBDA_ENVIRONMENT.volumes} must be a list of {"name", "path"} with at least one`);
}

function json(variable: string): unknown {
  try {
    return JSON.parse(required(variable));
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`${variable} is not JSON`);
    throw error;
  }
}

function required(variable: string): string {
  const value = process.env[variable];
  if (value) return value;
  throw new UsageError(`${variable} is not set in the function's environment`);
}

/** From the extension that AWS runs beside the function, which keeps it for some minutes. Never in the environment. */
async function catalogueLogin(): Promise<{ user: string; password: string }> {
  const port = process.env["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"] ?? "2773";
  const secret = encodeURIComponent(required(LAMBDA_ENVIRONMENT.catalogueSecret));
  const answer = await fetch(`http://localhost:${port}/secretsmanager/get?secretId=${secret}`, {
    headers: { "X-Aws-Parameters-Secrets-Token": process.env["AWS_SESSION_TOKEN"] ?? "" },
    signal: AbortSignal.timeout(SECRET_MILLISECONDS),
  }).catch((error: Error) => {
    throw new UsageError(
      `the catalogue's login can't be had (${error.message}): has the function the layer of the secrets extension?`,
    );
  });
  if (!answer.ok)
    throw new UsageError(`the catalogue's login can't be had: Secrets Manager says ${answer.status}`);
  const { SecretString } = (await answer.json()) as { SecretString?: string };
  const parsed = loginSchema.safeParse(parseQuietly(SecretString));
  if (!parsed.success) throw new UsageError("the catalogue's secret must be JSON with username and password");
  return { user: parsed.data.username, password: parsed.data.password };
}

const loginSchema = z.object({ username: z.string().min(1), password: z.string().min(1) });

/** What is wrong with a secret isn't said in its own words. */
function parseQuietly(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}
