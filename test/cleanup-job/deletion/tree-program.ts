/*
 * Builds a hostile tree, or deletes a tree, in a process of its own, so that a test can give it another
 * user, a small number of handles or a mount namespace. Prints one line of JSON.
 */
import * as fs from "node:fs";
import { createServer } from "node:net";
import { execFileSync } from "node:child_process";
import { peakMemoryBytes } from "../../../bench/lib/memory.js";
import { deleteTree } from "../../../cleanup-job/src/deletion/tree.js";
import { openRoot } from "../../../cleanup-job/src/deletion/handles.js";
import { openFiles } from "../../support/open-files.js";

const [command, directory = "", argument = ""] = process.argv.slice(2);

function write(path: string | Buffer, bytes = 0): void {
  fs.writeFileSync(path, Buffer.alloc(bytes, 1));
}

/** Links, hard links, special files and names of every kind. `argument` is a directory of victims. */
async function buildHostile(): Promise<object> {
  const job = `${directory}/job`;
  fs.mkdirSync(`${job}/a/b/c`, { recursive: true });
  write(`${job}/source.mp4`, 8192);
  write(`${job}/a/plain`, 4096);
  fs.symlinkSync(argument, `${job}/link-to-directory`);
  fs.symlinkSync(`${argument}/file`, `${job}/a/link-to-file`);
  fs.symlinkSync("/nowhere", `${job}/a/b/dangling`);
  fs.symlinkSync("..", `${job}/a/b/c/up`);
  fs.linkSync(`${argument}/file`, `${job}/hard-link-to-victim`);
  write(`${job}/a/first-name`, 4096);
  fs.linkSync(`${job}/a/first-name`, `${job}/a/second-name`);
  fs.linkSync(`${job}/a/first-name`, `${job}/third-name`);
  execFileSync("mkfifo", [`${job}/fifo`, `${job}/a/fifo`, `${job}/a/b/fifo`, `${job}/a/b/c/fifo`]);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${job}/a/socket`, resolve));
  fs.renameSync(`${job}/a/socket`, `${job}/a/left-socket`); // so that closing doesn't remove it
  await new Promise((resolve) => server.close(resolve));
  for (const name of ["\n", "...", "-rf", "*", "a b", "\\", "\x01\x7f", "ü", "..x"])
    write(`${job}/a/${name}`);
  write(Buffer.concat([Buffer.from(`${job}/a/`), Buffer.from([0xff, 0xfe, 0x80])]));
  fs.mkdirSync(Buffer.concat([Buffer.from(`${job}/`), Buffer.from([0xc3, 0x28])]));
  write(`${job}/a/${"n".repeat(255)}`);
  for (const mode of [0o000, 0o111, 0o222, 0o444, 0o555]) {
    const closed = `${job}/closed-${mode.toString(8)}`;
    fs.mkdirSync(`${closed}/inner/innermost`, { recursive: true });
    write(`${closed}/inner/innermost/file`);
    fs.chmodSync(`${closed}/inner/innermost`, mode);
    fs.chmodSync(`${closed}/inner`, mode);
    fs.chmodSync(closed, mode);
  }
  fs.chmodSync(job, 0o000);
  return { built: true };
}

/** A chain of directories, from the inside out, since no path may be longer than 4,096 bytes. */
function buildDeep(): object {
  const depth = Number(argument);
  let inner = `${directory}/deep-0`;
  fs.mkdirSync(inner);
  write(`${inner}/file`, 4096);
  for (let level = 1; level < depth; level++) {
    const outer = `${directory}/deep-${level}`;
    fs.mkdirSync(outer);
    write(`${outer}/file`);
    fs.renameSync(inner, `${outer}/d`);
    inner = outer;
  }
  fs.renameSync(inner, `${directory}/job`);
  return { built: true };
}

/** A deletion thread's own times, which it reads as long as it is there. */
const OWN_TIMES = /^\/proc\/\d+\/task\/\d+\/schedstat$/;

/** Open files and directories, without what a thread needs for itself: its event loop's, and its times. */
function handles(): number {
  return openFiles().filter((file) => file.startsWith("/") && !OWN_TIMES.test(file)).length;
}

async function remove(): Promise<object> {
  const root = await openRoot(directory);
  const handlesBefore = handles();
  let most = 0;
  let longestDelay = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    most = Math.max(most, handles() - handlesBefore);
    longestDelay = Math.max(longestDelay, performance.now() - last - 5);
    last = performance.now();
  }, 5);
  const started = performance.now();
  const result = await deleteTree(root, argument);
  clearInterval(timer);
  const leaked = handles() - handlesBefore;
  await root.close();
  return {
    ...result,
    mostHandles: most,
    leaked,
    longestDelay,
    seconds: (performance.now() - started) / 1000,
    residentMiB: peakMemoryBytes() / 2 ** 20,
    uid: process.getuid!(),
    effectiveCapabilities: /CapEff:\s*(\w+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))![1],
  };
}

const commands: Record<string, () => object | Promise<object>> = {
  "build-hostile": buildHostile,
  "build-deep": buildDeep,
  delete: remove,
};
console.log(JSON.stringify(await commands[command!]!()));
