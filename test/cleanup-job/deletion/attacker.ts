/*
 * Exchanges directories and links below a job as fast as it can, as a worker could that knows when its job
 * is deleted. On stdin, one line of JSON per round: {parent, victims}; an empty line ends the round. Answers
 * each round's end with how many exchanges succeeded.
 */
import * as fs from "node:fs";
import koffi from "koffi";

const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
const libc = koffi.load("libc.so.6");
const renameat2 = libc.func("int renameat2(int, const char *, int, const char *, unsigned int)") as (
  ...args: [number, string, number, string, number]
) => number;

interface Round {
  parent: string;
  victims: string;
}

let round: Round | null = null;
let exchanges = 0;

function exchange(a: string, b: string): void {
  if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) === 0) exchanges++;
}

function attack({ parent }: Round): void {
  for (let i = 0; i < 20; i++) {
    exchange(`${parent}/job/a`, `${parent}/job/link`);
    exchange(`${parent}/job/a/b`, `${parent}/job/a/link`);
    exchange(`${parent}/job/c`, `${parent}/spare-link`);
    if (i === 10) exchange(`${parent}/job`, `${parent}/job-link`);
  }
  // Directories that the deletion itself has moved to the top.
  try {
    for (const name of fs.readdirSync(`${parent}/job`).filter((n) => n.startsWith("."))) {
      exchange(`${parent}/job/${name}`, `${parent}/spare-link`);
    }
  } catch {
    // gone in between
  }
}

function loop(): void {
  if (!round) return;
  attack(round);
  setImmediate(loop);
}

let pending = "";
process.stdin.on("data", (data) => {
  pending += data.toString();
  for (let end = pending.indexOf("\n"); end >= 0; end = pending.indexOf("\n")) {
    const line = pending.slice(0, end);
    pending = pending.slice(end + 1);
    if (line === "") {
      round = null;
      process.stdout.write(`${exchanges}\n`);
    } else {
      exchanges = 0;
      round = JSON.parse(line) as Round;
      process.stdout.write("ready\n");
      setImmediate(loop);
    }
  }
});
process.stdin.on("end", () => process.exit(0));
