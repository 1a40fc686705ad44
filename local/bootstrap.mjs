// Runs a program of this project on a machine that has nothing but a Node.js: installs the packages if
// they are not those of the lockfile, then hands over to the Node.js that the lockfile pins. Plain
// JavaScript without dependencies, because nothing else is there before it has run.
//
//   node local/bootstrap.mjs PROGRAM.ts [ARGUMENT ...]
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { cacheDirectory } from "./cache-directory.mjs";
import { installPackages } from "./packages.mjs";

const project = dirname(dirname(fileURLToPath(import.meta.url)));
if (Number(process.versions.node.split(".")[0]) < 20) {
  console.error(`Node.js ${process.versions.node} is too old. Install Node.js 20 or later and start again.`);
  process.exit(1);
}

const installed = await installPackages(project, (command, parameters) =>
  run(command, parameters, process.env),
);
if (installed !== 0) process.exit(installed);

const node = join(project, "node_modules", "node", "bin");
const path = [join(project, "node_modules", ".bin"), process.env.PATH ?? ""].join(delimiter);
const [program, ...args] = process.argv.slice(2);
// What was compiled once is kept for the next program: loading the packages is most of what a short one does.
const compiled = join(cacheDirectory(), "compiled");
const env = { NODE_COMPILE_CACHE: compiled, ...process.env, PATH: [node, path].join(delimiter) };
const typescript = new URL("../infra/typescript-files.mjs", import.meta.url).href;
process.exit(await run(join(node, "node"), ["--import", typescript, join(project, program), ...args], env));

/** Resolves to the exit code; a signal to this process reaches the other too and is left to it. */
function run(command, parameters, environment) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.removeAllListeners(signal);
  return new Promise((resolve) => {
    const child = spawn(command, parameters, { cwd: project, env: environment, stdio: "inherit" });
    // A terminal's Ctrl-C goes to the whole group; a signal to this process alone is passed on.
    process.on("SIGINT", () => {});
    for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
    child.once("error", (error) => {
      console.error(`✗ ${command} could not be run: ${error.message}`);
      resolve(1);
    });
    child.once("exit", (code, signal) => {
      // Interrupted before the program could say so itself.
      if (signal === "SIGINT") console.log("\nInterrupted. The same command goes on from here.");
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}
