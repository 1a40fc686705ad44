import { open, mkdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import { Command, CommanderError } from "commander";
import {
  InvalidNodeAgentConfigError,
  NODE_AGENT_CONFIG_FILE,
  parseNodeAgentConfig,
} from "@video-storage/contract/node-agent-config";
import type { NodeAgentConfig } from "@video-storage/contract/node-agent-config";
import { tryLockExclusive } from "@video-storage/worker/directory-lock";
import { ClusterUnavailableError } from "./cluster-unavailable.js";
import { EXIT_CODES } from "./exit-codes.js";
import { KeyError } from "./keys.js";
import { prepare, reportProblems } from "./prepare.js";
import type { Machine } from "./prepare.js";
import { reporterFor } from "./report.js";
import { systemRunner } from "./runner.js";

/**
 * What works on Kubernetes, loaded by the commands that do: its client takes half a second of a processor, and `prepare`
 * runs before there is a cluster to ask.
 */
const onCluster = async () => ({
  ...(await import("./cluster.js")),
  ...(await import("./collect.js")),
  ...(await import("./run.js")),
});

interface Options {
  readonly config: string;
  readonly json: boolean;
  readonly node: string;
  readonly stateDirectory: string;
  readonly workDirectory: string;
  readonly mapperDirectory: string;
  readonly kubeconfig?: string;
  readonly once: boolean;
}

/** Something that the caller has to set right; ends the program with exit code 2. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

class BusyError extends Error {
  override readonly name = "BusyError";
}

const program = new Command("node-agent")
  .description(
    "Prepares the local SSD of a node as slots of fixed size, and wipes and offers again what claims have released.",
  )
  .addHelpText(
    "after",
    `
A disk or file is used only if it is blank or carries what the agent itself wrote. Anything else is refused with the
reason, and nothing is done to it. Whatever is interrupted is finished by the next run.

Examples:
  node-agent prepare --config FILE     make and mount what is missing, once; needs no cluster
  node-agent run                       the same, then see to released volumes until stopped; what the DaemonSet runs
  node-agent run --once                one round, for trying out
  node-agent collect                   remove the volumes of nodes that are gone; one for the cluster

Exit codes:
  0  done, or asked to stop
  1  some disk or slot was refused or failed; the others were prepared
  2  wrong usage, settings or key; nothing was done
  3  Kubernetes can't be reached, or refuses (with --once)
  4  another agent is at work on this node`,
  )
  .exitOverride()
  .configureHelp({ showGlobalOptions: true });

function common(command: Command): Command {
  return command
    .option("--config <file>", "the settings, as the stack writes them", NODE_AGENT_CONFIG_FILE)
    .option("--json", "one JSON object per line, also on a terminal", false);
}

function onNode(command: Command): Command {
  return common(command)
    .option("--node <name>", "this node's name in Kubernetes", process.env["NODE_NAME"] ?? hostname())
    .option("--state-directory <dir>", "notes that survive a reboot", "/var/lib/video-storage/node-agent")
    .option(
      "--work-directory <dir>",
      "where slots are mounted while they are made",
      "/run/video-storage/node-agent",
    )
    .option("--mapper-directory <dir>", "where open LUKS mappings appear", "/dev/mapper");
}

function withCluster(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "the cluster (default: the pod's own)")
    .option("--once", "one round instead of going on", false);
}

onNode(program.command("prepare"))
  .description("make and mount what the settings want of this node, once")
  .action(async (options: Options) => {
    await withMachine(options, async (machine) => {
      await locked(options.stateDirectory, undefined);
      const { problems } = await prepare({ ...machine, node: options.node });
      reportProblems(machine.report, problems);
      if (problems.size > 0) process.exitCode = EXIT_CODES.someRefused;
    });
  });

withCluster(onNode(program.command("run")))
  .description("prepare the node, then wipe released volumes and offer them again until stopped")
  .action(async (options: Options) => {
    await withMachine(options, async (machine) => {
      const { clusterOf, round, run } = await onCluster();
      const cluster = clusterOf(options.kubeconfig);
      const stop = stopOnSignals();
      if (options.once) {
        await locked(options.stateDirectory, undefined);
        const { problems } = await round({ ...machine, node: options.node }, options.node, cluster, stop);
        reportProblems(machine.report, problems);
        if (problems.size > 0) process.exitCode = EXIT_CODES.someRefused;
        return;
      }
      // The agent of an earlier release may still be finishing a step.
      await locked(options.stateDirectory, stop);
      await run(machine, () => readConfiguration(options.config), options.node, cluster, stop);
    });
  });

withCluster(common(program.command("collect")))
  .description("remove the volumes that agents made on nodes that are not in the cluster any more")
  .action(async (options: Options) => {
    const config = await readConfiguration(options.config);
    const { clusterOf, collect, collectOnce } = await onCluster();
    const cluster = clusterOf(options.kubeconfig);
    const report = reporterFor(process.stdout, options.json);
    if (options.once) await collectOnce(config, cluster, report);
    else await collect(config, cluster, report, stopOnSignals());
  });

async function withMachine(
  options: Options,
  work: (machine: Omit<Machine, "node">) => Promise<void>,
): Promise<void> {
  const config = await readConfiguration(options.config);
  await work({
    config,
    runner: systemRunner(),
    report: reporterFor(process.stdout, options.json),
    stateDirectory: options.stateDirectory,
    workDirectory: options.workDirectory,
    mapperDirectory: options.mapperDirectory,
  });
}

async function readConfiguration(file: string): Promise<NodeAgentConfig> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`the settings can't be read from ${file} (${error.code}): name them with --config`);
  });
  try {
    return parseNodeAgentConfig(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`${file} is not JSON: ${error.message}`);
    if (error instanceof InvalidNodeAgentConfigError) throw new UsageError(`${file}: ${error.message}`);
    throw error;
  }
}

/** Keeps every other agent off this node for as long as the process lives. Waits only where a signal ends the wait. */
async function locked(directory: string, stop: AbortSignal | undefined): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const handle = await open(directory);
  held.push(handle);
  while (!tryLockExclusive(handle.fd)) {
    if (!stop || stop.aborted)
      throw new BusyError(`another agent holds ${directory}: it is at work on this node`);
    await sleep(1000, undefined, { signal: stop }).catch(() => {});
  }
}

/** Kept from the garbage collector, which would close them. */
const held: object[] = [];

/** SIGTERM or SIGINT: finish the step in hand and begin none. A second one ends at once, which is safe too. */
function stopOnSignals(): AbortSignal {
  const controller = new AbortController();
  const listener = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_CODES.ok);
    controller.abort();
  };
  process.on("SIGTERM", listener).on("SIGINT", listener);
  return controller.signal;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  reporterFor(
    process.stderr,
    process.argv.includes("--json"),
  )({
    event: "failed",
    level: "error",
    reason: (error as Error).message,
  });
  if (error instanceof UsageError || error instanceof KeyError) return EXIT_CODES.usage;
  if (error instanceof BusyError) return EXIT_CODES.busy;
  if (error instanceof ClusterUnavailableError) return EXIT_CODES.clusterUnavailable;
  return EXIT_CODES.someRefused;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
// Signal handlers and an open watch would keep a finished program alive.
process.exit();
