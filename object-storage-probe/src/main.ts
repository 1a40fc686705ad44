import { readFileSync, writeFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { endWithReaders } from "@video-storage/contract/closed-output";
import { OBJECT_STORAGE_CREDENTIALS_DIRECTORY } from "@video-storage/contract/stack-contract";
import { ObjectStorageError } from "@video-storage/worker/errors";
import { objectStorageCredentialsFrom } from "@video-storage/worker/object-storage";
import { reportToCluster } from "./cluster-report.js";
import { probe, unmetRequirements, UnreachableError } from "./probe.js";
import { InvalidProbeSettingsError, PROBE_SETTINGS_FILE, parseProbeSettings } from "./settings.js";
import type { ProbeSettings } from "./settings.js";
import { formatCapabilities } from "./table.js";

const EXIT_CODES = { ok: 0, unmet: 1, usage: 2, unreachable: 3, interrupted: 130 } as const;

interface RunOptions {
  readonly config: string;
  readonly credentials: string;
  readonly json: boolean;
  readonly verify: boolean;
}

endWithReaders();
const program = new Command("object-storage-probe")
  .description(
    "Finds out what a bucket's endpoint really keeps, by trying it: some accept a rule and drop it without a word.",
  )
  .addHelpText(
    "after",
    `
It writes, reads and deletes below probe/ alone, and removes what it wrote. The settings say which findings are
required, and where the report goes.

Examples:
  object-storage-probe run                        as the stack's Job does, with what is mounted in its pod
  object-storage-probe run --config probe.json --credentials ./keys --verify
                                                  from anywhere; the bucket's rules are read and not put

Exit codes:
  0  everything that is required is held
  1  a requirement isn't met; which, and what was seen instead, is the last that is said
  2  wrong usage, settings or credentials; nothing was tried
  3  the bucket can't be reached, isn't there, or isn't for these credentials`,
  )
  .exitOverride()
  .configureHelp({ showGlobalOptions: true });

program
  .command("run")
  .description("probe the bucket once, and report")
  .option("--config <file>", "the settings, as the stack writes them", PROBE_SETTINGS_FILE)
  .option(
    "--credentials <dir>",
    "holds accessKeyId and secretAccessKey",
    OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
  )
  .option("--json", "the report as JSON, also on a terminal", false)
  .option("--verify", "change no lifecycle rule, only read them", false)
  .action(run);

async function run(options: RunOptions): Promise<void> {
  const settings = readSettings(options);
  const credentials = await objectStorageCredentialsFrom(options.credentials, settings.objectStorage);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort(new Error("interrupted"));
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  const people = process.stdout.isTTY && !options.json;
  try {
    const found = await probe(settings, {
      credentials,
      signal: stop.signal,
      onProgress: (what) => people && process.stderr.write(`\r\x1b[K${what}`),
    });
    if (people) process.stderr.write("\r\x1b[K");
    process.stdout.write(people ? formatCapabilities(found) : `${JSON.stringify(found)}\n`);
    if (settings.report !== null) await reportToCluster(settings.report, ownJob(), found);
    const unmet = unmetRequirements(settings, found);
    if (unmet.length > 0) {
      fail(
        `bucket ${found.bucket} lacks what this stack requires:\n${unmet.map((one) => `  ${one}`).join("\n")}`,
        EXIT_CODES.unmet,
      );
    }
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

function ownJob(): { namespace: string; name: string } | undefined {
  const { JOB_NAME: name, POD_NAMESPACE: namespace } = process.env;
  return name && namespace ? { namespace, name } : undefined;
}

function readSettings({ config, verify }: RunOptions): ProbeSettings {
  let text: string;
  try {
    text = readFileSync(config, "utf8");
  } catch (error) {
    const { message } = error as Error;
    throw new InvalidProbeSettingsError(
      `the probe's settings can't be read (${message}): name them by --config`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidProbeSettingsError(`the probe's settings in ${config} are not JSON`);
  }
  const settings = parseProbeSettings(value);
  return verify ? { ...settings, lifecycle: { ...settings.lifecycle, mode: "verify" } } : settings;
}

/** Where a kubelet takes the reason for a pod's end from. */
const TERMINATION_LOG = "/dev/termination-log";

function fail(message: string, code: number): void {
  process.exitCode = code;
  process.stderr.write(`${message}\n`);
  try {
    if (process.env["KUBERNETES_SERVICE_HOST"]) writeFileSync(TERMINATION_LOG, message.slice(0, 4000));
  } catch {
    // The log has it as well.
  }
}

try {
  await program.parseAsync();
} catch (error) {
  const { message } = error as Error;
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : EXIT_CODES.usage;
  else if (error instanceof InvalidProbeSettingsError || error instanceof ObjectStorageError)
    fail(message, EXIT_CODES.usage);
  else if (error instanceof UnreachableError) fail(message, EXIT_CODES.unreachable);
  else if (message === "interrupted" || (error as Error).name === "AbortError")
    fail("interrupted; what was tried is removed", EXIT_CODES.interrupted);
  else fail(message, EXIT_CODES.unmet);
}
