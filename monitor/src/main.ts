import "./small-heap.js";
import { Command, CommanderError } from "commander";
import { endWithReaders } from "@video-storage/contract/closed-output";
import { UsageError } from "./documents.js";
import { addExporterCommand } from "./exporter/command.js";
import { addStatusCommand } from "./status/command.js";

const EXIT_CODES = { ok: 0, failed: 1, usage: 2 } as const;

endWithReaders();
const program = new Command("monitor")
  .description("What the video storage does, for Prometheus and for people. It reads only.")
  .exitOverride()
  .configureHelp({ showGlobalOptions: true });

addExporterCommand(program);
addStatusCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  } else {
    process.stderr.write(`monitor: ${(error as Error).message}\n`);
    process.exitCode = error instanceof UsageError ? EXIT_CODES.usage : EXIT_CODES.failed;
  }
}
