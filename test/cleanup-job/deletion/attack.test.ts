import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RUNS_TYPESCRIPT } from "../../../infra/typescript.js";
import { openRoot } from "../../../cleanup-job/src/deletion/handles.js";
import { LongRemovals } from "../../../cleanup-job/src/deletion/long-removals.js";
import { DeletionThreads } from "../../../cleanup-job/src/deletion/threads.js";
import { deleteTree } from "../../../cleanup-job/src/deletion/tree.js";
import { random as randomFrom } from "../../support/random.js";
import { rounds, seed } from "../../support/rounds.js";
import { ALL_ITS_OWN, NOTHING_ITS_OWN } from "./own-limits.js";

const ROUNDS = rounds("ATTACK_ROUNDS", 1000);
const SEED = seed("ATTACK_SEED");
const VICTIM_FILES = 20;
const threadsAlone = new DeletionThreads(2, NOTHING_ITS_OWN);
/** As if each file were large: they are removed after the look at their directories. */
const allAside = new (class extends LongRemovals {
  override isExpectedOf(): boolean {
    return true;
  }
})();

let base: string;
let attacker: ChildProcess;
let answers: AsyncIterator<string>;

beforeAll(() => {
  base = mkdtempSync(`${tmpdir()}/attack-`);
  attacker = spawn(
    process.execPath,
    [...RUNS_TYPESCRIPT, fileURLToPath(new URL("attacker.ts", import.meta.url))],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  answers = createInterface({ input: attacker.stdout! })[Symbol.asyncIterator]();
});

afterAll(async () => {
  attacker.stdin!.end();
  await new Promise((resolve) => attacker.once("exit", resolve));
  rmSync(base, { recursive: true });
});

async function say(line: string): Promise<string> {
  attacker.stdin!.write(`${line}\n`);
  return (await answers.next()).value as string;
}

interface Outcome {
  victimsLost: number;
  exchanges: number;
  complete: boolean;
}

async function oneRound(
  name: string,
  random: () => number,
  remove: (parent: string) => Promise<boolean>,
): Promise<Outcome> {
  const parent = `${base}/${name}/volume`;
  const victims = `${base}/${name}/victims`;
  mkdirSync(victims, { recursive: true });
  // Named like the job's own files: a walk that has listed the directory goes on to these names.
  const names = Array.from({ length: VICTIM_FILES }, (_, i) => `frame-${i}.jpg`);
  for (const file of names) writeFileSync(`${victims}/${file}`, "");
  for (const directory of ["a", "a/b", "c"]) {
    mkdirSync(`${parent}/job/${directory}`, { recursive: true });
    for (const file of names.slice(0, 5 + Math.floor(random() * 16))) {
      writeFileSync(`${parent}/job/${directory}/${file}`, "");
    }
  }
  for (const link of ["job/link", "job/a/link", "spare-link", "job-link"]) {
    symlinkSync(victims, `${parent}/${link}`);
  }
  expect(await say(JSON.stringify({ parent, victims }))).toBe("ready");
  await new Promise((resolve) => setTimeout(resolve, random() * 3));
  const complete = await remove(parent);
  const exchanges = Number(await say(""));
  const victimsLost = VICTIM_FILES - readdirSync(victims).length;
  rmSync(`${base}/${name}`, { recursive: true });
  return { victimsLost, exchanges, complete };
}

describe("an attacker exchanging directories and links during the deletion", () => {
  it(
    `costs no victim in ${ROUNDS} rounds`,
    async () => {
      console.log(`ATTACK_SEED=${SEED} ATTACK_ROUNDS=${ROUNDS}`);
      const random = randomFrom(SEED);
      const total = { victimsLost: 0, exchanges: 0, complete: 0, attackedRounds: 0 };
      for (let round = 0; round < ROUNDS; round++) {
        const outcome = await oneRound(`round-${round}`, random, async (parent) => {
          const root = await openRoot(parent);
          // By turns by threads alone, by the caller's own, which has small trees gone before a thread would be ready, and
          // by those that remove large files for it.
          const threads = [
            () => threadsAlone,
            () => new DeletionThreads(),
            () => new DeletionThreads(2, ALL_ITS_OWN, allAside),
          ][round % 3]!();
          const { complete } = await deleteTree(root, "job", { threads });
          await root.close();
          return complete;
        });
        total.victimsLost += outcome.victimsLost;
        total.exchanges += outcome.exchanges;
        total.complete += Number(outcome.complete);
        total.attackedRounds += Number(outcome.exchanges > 0);
      }
      console.log(JSON.stringify(total));
      expect(total.victimsLost).toBe(0);
      expect(total.attackedRounds).toBeGreaterThan(ROUNDS * 0.9);
    },
    60_000 + ROUNDS * 1000,
  );

  it("does cost victims with Node's own fs.rm, so the attack is one", async () => {
    const random = randomFrom(SEED);
    let lost = 0;
    for (let round = 0; round < 300 && lost === 0; round++) {
      const outcome = await oneRound(`control-${round}`, random, (parent) =>
        rm(`${parent}/job`, { recursive: true }).then(
          () => true,
          () => false,
        ),
      );
      lost += outcome.victimsLost;
      if (lost > 0) console.log(`fs.promises.rm deleted ${lost} victims in round ${round + 1}`);
    }
    expect(lost).toBeGreaterThan(0);
  }, 300_000);
});
