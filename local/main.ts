import { CatalogueUnavailableError } from "@video-storage/catalogue/connection";
import { endWithReaders } from "@video-storage/contract/closed-output";
import { addShowOptions } from "@video-storage/monitor/status/command";
import { Command, CommanderError, Option } from "commander";
import type { CommandOptions } from "commander";

import { CommandError } from "./command.js";
import { Failure } from "./failure.js";

const EXIT_CODES = `
Exit codes: 0 done, 1 failed (the message says why and what to do), 2 wrong usage, 130 interrupted.
What is interrupted or fails can be started again: nothing is left that a next start trips over.`;

// Each command loads its own program when it runs: the clients of Kubernetes and S3 take seconds of a processor, which a
// wrong option need not wait for.
const end = () => import("./end.js");
const inspection = () => import("./inspect.js");

endWithReaders();
const program = new Command("local")
  .description(
    "The storage layer's environment on this machine: a real cluster, database, S3 server and Prometheus.",
  )
  .addHelpText("after", EXIT_CODES)
  .exitOverride()
  .enablePositionalOptions();

/** A command that works on one environment. */
function command(name: string, options: CommandOptions = {}): Command {
  const environment = "name of the environment; each has its own state and addresses";
  return program.command(name, options).option("--environment <name>", environment, "local");
}

command("start", { isDefault: true })
  .description("bring the environment up, deploy the stack into it, run jobs and watch them being cleaned")
  .option("--video <file>", "an MP4 of your own as every job's source.mp4")
  .option("--again", "run new jobs even if an earlier run's are there")
  .option("--no-jobs", "bring everything up and run no jobs")
  .addOption(
    new Option("--engine <which>", "pulumi needs its CLI, render is for trying out")
      .choices(["auto", "pulumi", "render"])
      .default("auto"),
  )
  .option("--context <name>", "use the cluster of this kubeconfig context instead of building one")
  .option("--image-loader <command>", "brings the OCI archive {} to the nodes of that cluster")
  .option("--build", "build a cluster even where kind could make one")
  .option("--nodes <count>", "so many nodes, each with slots, in a cluster that is built here (default: 1)")
  .addOption(new Option("--bare", "build a cluster and put nothing into it").hideHelp())
  .action(async (options) => (await import("./start.js")).start(options));

command("stop")
  .description("end everything that start started; data stays")
  .action(async (options) => (await end()).stop(options));

command("destroy")
  .description("stop, and remove every trace of the environment")
  .option("--cache", "also remove the built programs and images that all checkouts share")
  .action(async (options) => (await end()).destroy(options));

command("kubectl")
  .description("kubectl, on this environment's cluster")
  .argument("[words...]", "its arguments; after -- if they begin with a dash")
  .allowUnknownOption()
  .passThroughOptions()
  .action(async (words: string[], options) => (await inspection()).kubectl(options, words));

command("audit")
  .description("what the sweep deleted and moved, why and for whom, with its chain of hashes verified")
  .option("--json", "one JSON object a row")
  .action(async (options) => (await inspection()).audit(options));

addShowOptions(command("status"))
  .description("a page with volumes, jobs, sweeps, the audit and alerts; or the same in the terminal")
  .action(async (options) => (await import("./status.js")).status(options));

process.once("SIGINT", () => interrupted(130)).once("SIGTERM", () => interrupted(143));

try {
  await program.parseAsync();
  process.exit();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  if (error instanceof Failure) console.error(`\n✗ ${error.message}\n  ${error.remedy}`);
  else if (error instanceof CommandError || error instanceof CatalogueUnavailableError)
    console.error(`\n✗ ${error.message}`);
  else console.error("\n✗", error);
  process.exit(1);
}

function interrupted(code: number): void {
  process.stdout.write("\nInterrupted. The same command goes on from here.\n");
  process.exit(code);
}
