import { hostname } from "node:os";
import { Command, CommanderError, Option } from "commander";
import { endWithReaders } from "@video-storage/contract/closed-output";
import {
  CatalogueRefusedError,
  CatalogueUnavailableError,
  connect,
  credentialsFrom,
} from "@video-storage/catalogue/connection";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { CLEANUP_CONFIG_FILE } from "@video-storage/contract/cleanup-config";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { InvalidIdentityError, parseJobId } from "@video-storage/contract/identity";
import { JOBS_ROOT } from "@video-storage/contract/layout";
import { rulesOf } from "@video-storage/contract/plan";
import { escaped } from "@video-storage/contract/shown-text";
import {
  CATALOGUE_CREDENTIALS_DIRECTORY,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";
import { CAPABILITIES_FILE, objectStorageDuties } from "@video-storage/contract/object-storage-capabilities";
import type { ObjectStorageCapabilities } from "@video-storage/contract/object-storage-capabilities";
import type { ObjectStorage, ObjectStorageCredentials } from "@video-storage/worker/object-storage";
import { addAuditCommands } from "./audit-commands.js";
import type { Bucket } from "./bucket.js";
import { readCapabilities, readConfiguration, readSecret, UsageError } from "./configuration.js";
import type { SweepContext } from "./context.js";
import { openRoot } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";
import { EXIT_CODES } from "./exit-codes.js";
import { explain, formatExplanation } from "./explain.js";
import { janitor } from "./janitor.js";
import type { JanitorOptions, JanitorSummary } from "./janitor.js";
import { objectStorageWhenUsed, podsWhenUsed } from "./loaded-when-used.js";
import type { PodSource } from "./pod-liveness.js";
import { preview, withRetention } from "./preview.js";
import { watchedBy } from "./progress.js";
import { reporterFor } from "./report.js";
import type { Reporter } from "./report.js";
import { stopOnSignals } from "./signals.js";
import { FEW_JOBS, keepHeapSmall, mayHaveManyDirectories } from "./small-heap.js";
import { withBreaker } from "./store-breaker.js";
import { toldToMonitoring } from "./sweep-metrics.js";
import { dryRun, sweep } from "./sweep.js";

interface CommonOptions {
  readonly config: string;
  readonly catalogueCredentials: string;
  readonly json: boolean;
}

interface BucketOptions extends CommonOptions {
  readonly objectStorageCredentials: string;
  readonly capabilities: string;
}

interface VolumeOptions extends BucketOptions {
  readonly volume: string;
  readonly root: string;
  readonly kubeconfig?: string;
}

/** The others go through whole tables. */
const STARTS_SMALL: ReadonlySet<string> = new Set(["sweep", "explain"]);

endWithReaders();
const program = new Command("cleanup-job")
  .description(
    "Deletes what has outlived its time on a volume of video jobs, moves what is due to object storage, and records both.",
  )
  .addHelpText(
    "after",
    `
Nothing is deleted unless its intent could be recorded in the catalogue first. An active job is never touched:
a held lock, a fresh heartbeat, a living pod or an unanswered question each keep it.

A sweep first finishes what an earlier one began, then deals with every job that is due, then, if the volume is
fuller than its high mark, with the longest unused finished jobs. After that it looks after the bucket, if nobody
has in this period.

Examples:
  cleanup-job sweep --volume node-0-slot-0 --dry-run   what would go, and why
  cleanup-job sweep --volume node-0-slot-0             sweep once, as the CronJob does
  cleanup-job explain JOB --volume node-0-slot-0       why one job stays or goes
  cleanup-job plan --retention uploaded=30m,failed=1d  what other times would delete, before they are set
  cleanup-job janitor --dry-run                        what would go from the bucket
  cleanup-job audit verify --anchors last.json         prove that the record of deletions is whole

Exit codes:
  0  done (also: another sweep of the volume was running, or asked to stop)
  1  some job failed; the others were dealt with; the next sweep tries again
     (also: object storage is away, or the bucket's janitor doubts the catalogue)
  2  wrong usage, settings or credentials; nothing was done
  3  the catalogue can't be reached; nothing was deleted from that moment on
  4  the audit chain is broken

The settings and every reason are explained in docs/cleanup.md.`,
  )
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  .hook("preAction", (_, command) => {
    if (!STARTS_SMALL.has(command.name())) keepHeapSmall();
  });

function common(command: Command): Command {
  return command
    .option("--config <file>", "the settings, as the stack writes them", CLEANUP_CONFIG_FILE)
    .option("--catalogue-credentials <dir>", "holds username and password", CATALOGUE_CREDENTIALS_DIRECTORY)
    .option("--json", "one JSON object per line, also on a terminal", false);
}

function withBucket(command: Command): Command {
  return command
    .option(
      "--object-storage-credentials <dir>",
      "holds accessKeyId and secretAccessKey",
      OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
    )
    .option(
      "--capabilities <file>",
      "what the bucket's endpoint was found to do by itself",
      CAPABILITIES_FILE,
    );
}

function ofVolume(command: Command): Command {
  return withBucket(common(command))
    .requiredOption("--volume <name>", "the volume's name in the catalogue")
    .option("--root <dir>", "where the volume is mounted", JOBS_ROOT)
    .addOption(new Option("--kubeconfig <file>", "ask this cluster about pods (default: the pod's own)"));
}

ofVolume(program.command("sweep"))
  .description("sweep one volume once")
  .option("--dry-run", "say what would be done and do nothing", false)
  .action(async (options: VolumeOptions & { dryRun: boolean }) => {
    await withContext(options, async (context, config) => {
      const sweeping = options.dryRun
        ? dryRun(context)
        : toldToMonitoring(sweep, context, config.metrics, {
            node: process.env["NODE_NAME"] ?? hostname(),
            objectStorageAway: context.objectStorageAway,
            bucket: bucketReport(config, options),
          });
      const summary = await sweeping.catch(reportUnavailable(context));
      let failed = summary.failed;
      const due = config.objectStorage !== null && config.janitor.periodSeconds > 0;
      if (due && !options.dryRun && !context.stop.aborted) {
        failed += (await tidy(context, config, options, {})).failed;
      }
      if (failed > 0) process.exitCode = EXIT_CODES.someJobFailed;
    });
  });

withBucket(common(program.command("janitor")))
  .description(
    "look after the bucket: objects out of their time, objects that are nobody's, unfinished uploads",
  )
  .option("--dry-run", "say what would be done and do nothing", false)
  .option("--now", "also when it was done in this period already", false)
  .addHelpText(
    "after",
    `
Every sweep does this too, once in the bucket's period, whichever comes first. An object without a row in the
catalogue is only removed after a grace period, and none is when there are suspiciously many.`,
  )
  .action(async (options: BucketOptions & { dryRun: boolean; now: boolean }) => {
    const signals = stopOnSignals();
    const report = reporterFor(process.stdout, options.json);
    await withCatalogue(options, async (catalogue, config) => {
      try {
        const base = { catalogue, actor: actorOf(), report, stop: signals.stop };
        const summary = await tidy(base, config, options, { dryRun: options.dryRun, now: options.now });
        if (summary.result === "not-due") {
          const reason = "it was done in this period already; --now does it anyway";
          report({ event: "not-due", bucket: config.objectStorage?.bucket, reason });
        }
        if (summary.failed > 0) process.exitCode = EXIT_CODES.someJobFailed;
      } finally {
        signals.ignore();
      }
    });
  });

common(program.command("plan"))
  .description("say what changed times would delete, tier or keep, before they are applied")
  .requiredOption(
    "--retention <new>",
    "uploaded=30m,completed=2d,failed=1d,abandoned=6h,completedAction=tier, or a file of settings",
  )
  .option("--volume <name>", "one volume's jobs only (default: all volumes)")
  .addHelpText(
    "after",
    `
By the catalogue alone, so it runs wherever that can be reached and needs no volume. It is the most that can happen:
a lock, a living pod or a record that says otherwise still keeps a job. Nothing is changed.`,
  )
  .action(async (options: CommonOptions & { retention: string; volume?: string }) => {
    await withCatalogue(options, async (catalogue, config) => {
      const report = reporterFor(process.stdout, options.json);
      await preview(catalogue, report, [config, withRetention(config, options.retention)], options.volume);
    });
  });

ofVolume(program.command("explain"))
  .description("say what is known about one job, and what a sweep would do with it now")
  .argument("<job>", "its id")
  .action(async (job: string, options: VolumeOptions) => {
    const jobId = parseJobId(job);
    await withContext(options, async (context) => {
      const explanation = await explain(context, jobId);
      const people = process.stdout.isTTY && !options.json;
      process.stdout.write(
        people ? formatExplanation(explanation) : `${escaped(JSON.stringify(explanation))}\n`,
      );
    });
  });

addAuditCommands<CommonOptions>(program.command("audit").description("read the record of deletions"), {
  common,
  withCatalogue,
});

async function withCatalogue(
  options: CommonOptions,
  work: (catalogue: Catalogue, config: CleanupConfig) => Promise<void>,
): Promise<void> {
  const config = readConfiguration(options.config);
  readSecret(options.catalogueCredentials, "username"); // its error says what to do
  readSecret(options.catalogueCredentials, "password");
  const credentials = await credentialsFrom(options.catalogueCredentials);
  const catalogue = connect({ ...config.catalogue, ...credentials });
  try {
    await work(catalogue, config);
  } finally {
    await catalogue.close();
  }
}

interface VolumeContext extends SweepContext {
  readonly objectStorageAway: () => boolean;
}

async function withContext(
  options: VolumeOptions,
  work: (context: VolumeContext, config: CleanupConfig) => Promise<void>,
): Promise<void> {
  const signals = stopOnSignals();
  const report = reporterFor(process.stdout, options.json);
  await withCatalogue(options, async (catalogue, config) => {
    const root = await rootOf(options.root);
    if (mayHaveManyDirectories(root.fd)) keepHeapSmall();
    let isAway = false;
    const away = (reason: string): void => {
      isAway = true;
      report({ event: "attention", level: "error", code: "object-storage-away", reason });
    };
    const connected = storeOf(config, options);
    const store = connected && withBreaker(connected, away);
    const watched = watchedBy(process.stderr, report, options.json);
    let surveyed = 0;
    const context = {
      ...{ volume: options.volume, root, catalogue, store, ...signals },
      rules: rulesOf(config),
      trashSeconds: config.retention.trashSeconds,
      tiering: config.tiering,
      pods: podsOf(config, options, report),
      actor: actorOf(),
      report: watched.report,
      progress: () => {
        if (++surveyed === FEW_JOBS) keepHeapSmall();
        watched.progress();
      },
      objectStorageAway: () => isAway,
    };
    try {
      await work(context, config);
    } finally {
      watched.end();
      store?.close();
      await root.close();
      signals.ignore();
    }
  });
}

function actorOf(): string {
  return process.env["POD_NAME"] ?? `uid ${process.getuid!()} on ${hostname()}`;
}

/** Looks after the bucket, if it is time. That the object storage is away is told, and is no reason to end. */
async function tidy(
  base: Pick<SweepContext, "catalogue" | "actor" | "report" | "stop">,
  config: CleanupConfig,
  options: BucketOptions,
  how: JanitorOptions,
): Promise<JanitorSummary> {
  if (!config.objectStorage) throw new UsageError("the settings have no objectStorage: there is no bucket");
  const duties = objectStorageDuties(readCapabilities(options.capabilities));
  const settings = config.objectStorage;
  const credentials = credentialsOf(settings, options);
  const open = async (): Promise<Bucket> => {
    const { openBucket } = await import("./bucket.js");
    keepHeapSmall();
    return openBucket(settings, credentials);
  };
  return janitor({ ...base, bucketName: settings.bucket, open, config, duties }, how);
}

/** What the probe found, for the monitoring; undefined where there is no bucket or nothing was found out yet. */
function bucketReport(
  { objectStorage }: CleanupConfig,
  { capabilities }: BucketOptions,
): ObjectStorageCapabilities | undefined {
  return objectStorage ? (readCapabilities(capabilities) ?? undefined) : undefined;
}

/** What the summary of a sweep would be, for whoever counts: the catalogue was away and the sweep ended there. */
function reportUnavailable({ report, volume }: SweepContext): (error: unknown) => never {
  return (error) => {
    if (error instanceof CatalogueUnavailableError) {
      report({ event: "swept", level: "error", volume, result: "catalogue-unavailable" });
    }
    throw error;
  };
}

async function rootOf(path: string): Promise<Directory> {
  try {
    return await openRoot(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`the volume can't be opened at ${path} (${code}): name its mount point with --root`);
  }
}

function storeOf(
  { objectStorage, tiering }: CleanupConfig,
  options: BucketOptions,
): ObjectStorage | undefined {
  if (!objectStorage) return undefined;
  const credentials = credentialsOf(objectStorage, options);
  return objectStorageWhenUsed(objectStorage.bucket, async () => {
    const { connectObjectStorage } = await import("@video-storage/worker/object-storage");
    const { concurrency } = tiering;
    return connectObjectStorage(objectStorage, credentials, { concurrency });
  });
}

/** Undefined where the pod's own identity counts: then no secret is mounted. */
function credentialsOf(
  { credentials }: NonNullable<CleanupConfig["objectStorage"]>,
  { objectStorageCredentials: directory }: BucketOptions,
): ObjectStorageCredentials | undefined {
  if (credentials === "ambient") return undefined;
  const accessKeyId = readSecret(directory, "accessKeyId");
  return { accessKeyId, secretAccessKey: readSecret(directory, "secretAccessKey") };
}

function podsOf(
  { checkPods, namespace }: CleanupConfig,
  { kubeconfig }: VolumeOptions,
  report: Reporter,
): PodSource | undefined {
  if (!checkPods) return undefined;
  const onUnknown = (pod: string, problem: string): void =>
    report({ event: "attention", level: "warning", code: "pod-unknown", pod, reason: problem });
  return podsWhenUsed(namespace, kubeconfig, onUnknown);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  const { message } = error as Error;
  const usage =
    error instanceof UsageError ||
    error instanceof InvalidIdentityError ||
    error instanceof CatalogueRefusedError;
  const unavailable = error instanceof CatalogueUnavailableError;
  const report = reporterFor(process.stderr, process.argv.includes("--json"));
  report({ event: unavailable ? "catalogue-unavailable" : "failed", level: "error", reason: message });
  if (unavailable) return EXIT_CODES.catalogueUnavailable;
  return usage ? EXIT_CODES.usage : EXIT_CODES.someJobFailed;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
// Not when nothing is left to do: lookups of names that nobody answers would be waited for, one after another.
process.exit();
