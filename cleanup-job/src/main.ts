import { hostname } from "node:os";
import { Command, CommanderError, Option } from "commander";
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
import {
  CATALOGUE_CREDENTIALS_DIRECTORY,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";
import type { ObjectStorage } from "@video-storage/worker/object-storage";
import { addAuditCommands } from "./audit-commands.js";
import { readConfiguration, readSecret, UsageError } from "./configuration.js";
import type { SweepContext } from "./context.js";
import { openRoot } from "./deletion/handles.js";
import type { Directory } from "./deletion/handles.js";
import { EXIT_CODES } from "./exit-codes.js";
import { explain, formatExplanation } from "./explain.js";
import { objectStorageWhenUsed, podsWhenUsed } from "./loaded-when-used.js";
import { rulesOf } from "./plan.js";
import type { PodSource } from "./pod-liveness.js";
import { reporterFor } from "./report.js";
import type { Reporter } from "./report.js";
import { stopOnSignals } from "./signals.js";
import { dryRun, sweep } from "./sweep.js";

interface CommonOptions {
  readonly config: string;
  readonly catalogueCredentials: string;
  readonly json: boolean;
}

interface VolumeOptions extends CommonOptions {
  readonly volume: string;
  readonly root: string;
  readonly objectStorageCredentials: string;
  readonly kubeconfig?: string;
}

const program = new Command("cleanup-job")
  .description(
    "Deletes what has outlived its time on a volume of video jobs, moves what is due to object storage, and records both.",
  )
  .addHelpText(
    "after",
    `
Nothing is deleted unless its intent could be recorded in the catalogue first. An active job is never touched:
a held lock, a fresh heartbeat, a living pod or an unanswered question each keep it.

Examples:
  cleanup-job sweep --volume node-0-slot-0 --dry-run   what would go, and why
  cleanup-job sweep --volume node-0-slot-0             sweep once, as the CronJob does
  cleanup-job explain JOB --volume node-0-slot-0       why one job stays or goes
  cleanup-job audit verify                             prove that the record of deletions is whole

Exit codes:
  0  done (also: another sweep of the volume was running, or asked to stop)
  1  some job failed; the others were dealt with; the next sweep tries again
  2  wrong usage, settings or credentials; nothing was done
  3  the catalogue can't be reached; nothing was deleted from that moment on
  4  the audit chain is broken`,
  )
  .exitOverride()
  .configureHelp({ showGlobalOptions: true });

function common(command: Command): Command {
  return command
    .option("--config <file>", "the settings, as the stack writes them", CLEANUP_CONFIG_FILE)
    .option("--catalogue-credentials <dir>", "holds username and password", CATALOGUE_CREDENTIALS_DIRECTORY)
    .option("--json", "one JSON object per line, also on a terminal", false);
}

function ofVolume(command: Command): Command {
  return common(command)
    .requiredOption("--volume <name>", "the volume's name in the catalogue")
    .option("--root <dir>", "where the volume is mounted", JOBS_ROOT)
    .option(
      "--object-storage-credentials <dir>",
      "holds accessKeyId and secretAccessKey",
      OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
    )
    .addOption(new Option("--kubeconfig <file>", "ask this cluster about pods (default: the pod's own)"));
}

ofVolume(program.command("sweep"))
  .description("sweep one volume once")
  .option("--dry-run", "say what would be done and do nothing", false)
  .action(async (options: VolumeOptions & { dryRun: boolean }) => {
    await withContext(options, async (context) => {
      const summary = await (options.dryRun ? dryRun : sweep)(context);
      if (summary.failed > 0) process.exitCode = EXIT_CODES.someJobFailed;
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
      process.stdout.write(people ? formatExplanation(explanation) : `${JSON.stringify(explanation)}\n`);
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

async function withContext(
  options: VolumeOptions,
  work: (context: SweepContext) => Promise<void>,
): Promise<void> {
  const signals = stopOnSignals();
  const report = reporterFor(process.stdout, options.json);
  await withCatalogue(options, async (catalogue, config) => {
    const root = await rootOf(options.root);
    const store = storeOf(config, options);
    try {
      await work({
        ...{ volume: options.volume, root, catalogue, store, ...signals },
        rules: rulesOf(config),
        trashSeconds: config.retention.trashSeconds,
        tiering: config.tiering,
        pods: podsOf(config, options, report),
        actor: process.env["POD_NAME"] ?? `uid ${process.getuid!()} on ${hostname()}`,
        report,
      });
    } finally {
      store?.close();
      await root.close();
      signals.ignore();
    }
  });
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
  options: VolumeOptions,
): ObjectStorage | undefined {
  if (!objectStorage) return undefined;
  // On AWS the pod's role is used, and no secret is mounted.
  const credentials = objectStorage.credentials === "secret" && {
    accessKeyId: readSecret(options.objectStorageCredentials, "accessKeyId"),
    secretAccessKey: readSecret(options.objectStorageCredentials, "secretAccessKey"),
  };
  return objectStorageWhenUsed(objectStorage.bucket, async () => {
    const { connectObjectStorage } = await import("@video-storage/worker/object-storage");
    const { concurrency } = tiering;
    return connectObjectStorage(objectStorage, credentials || undefined, { concurrency });
  });
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
