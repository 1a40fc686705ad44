import { Command, CommanderError } from "commander";

import { CommandError } from "./command.js";
import { destroy, start, stop } from "./commands.js";
import { Failure } from "./failure.js";

const EXIT_CODES = `
Exit codes: 0 done, 1 failed (the message says why and what to do), 2 wrong usage, 130 interrupted.
What is interrupted or fails can be started again: nothing is left that a next start trips over.`;

const program = new Command("local")
  .description("The storage layer's environment on this machine: a real cluster, database, S3 server and Prometheus.")
  .addHelpText("after", EXIT_CODES)
  .exitOverride()
  .option("--environment <name>", "name of the environment; each has its own state and addresses", "local");

program
  .command("start", { isDefault: true })
  .description("bring the environment up, deploy the stack into it, run jobs and watch them being cleaned")
  .option("--video <file>", "an MP4 of your own as every job's source.mp4")
  .option("--again", "run new jobs even if an earlier run's are there")
  .option("--no-jobs", "bring everything up and run no jobs")
  .option("--engine <which>", "pulumi (needs its CLI), render (for trying out), or auto", "auto")
  .option("--context <name>", "use the cluster of this kubeconfig context instead of building one")
  .action((options) => start({ ...program.opts(), ...options }));

program.command("stop").description("end everything that start started; data stays").action(() => stop(program.opts()));

program
  .command("destroy")
  .description("stop, and remove every trace of the environment")
  .option("--cache", "also remove the built programs and images that all checkouts share")
  .action((options) => destroy({ ...program.opts(), ...options }));

process.once("SIGINT", () => interrupted(130)).once("SIGTERM", () => interrupted(143));

try {
  await program.parseAsync();
  process.exit(0);
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  if (error instanceof Failure) console.error(`\n✗ ${error.message}\n  ${error.remedy}`);
  else if (error instanceof CommandError) console.error(`\n✗ ${error.message}`);
  else console.error("\n✗", error);
  process.exit(1);
}

function interrupted(code: number): void {
  process.stdout.write("\nInterrupted. The same command goes on from here.\n");
  process.exit(code);
}
