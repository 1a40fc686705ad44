import { describe, expect, it } from "vitest";

import { scheduleOf, seedOfWorker } from "./schedule.js";
import type { FaultKind } from "./schedule.js";

const TOPOLOGY = { nodes: 3, slotsPerNode: 3 };
const SEEDS = Array.from({ length: 200 }, (_, seed) => seed);

describe("the schedule of a run", () => {
  it("is the same for the same seed, and another for another", () => {
    expect(scheduleOf(7, 1_000, TOPOLOGY)).toEqual(scheduleOf(7, 1_000, TOPOLOGY));
    const different = new Set(SEEDS.map((seed) => JSON.stringify(scheduleOf(seed, 1_000, TOPOLOGY).faults)));
    expect(different.size).toBe(SEEDS.length);
  });

  it("has every kind of fault in 75 seconds, whatever the seed", () => {
    const kinds: FaultKind[] = ["cleaner", "kubelet", "node", "object-storage", "postgres", "worker"];
    for (const seed of SEEDS) {
      const { faults } = scheduleOf(seed, 75, TOPOLOGY);
      expect([seed, [...new Set(faults.map(({ kind }) => kind))].sort()]).toEqual([seed, kinds]);
    }
  });

  it("begins each fault when the one before is over, and within the run", () => {
    for (const seed of SEEDS) {
      const { faults } = scheduleOf(seed, 1_000, TOPOLOGY);
      faults.forEach((fault, index) => {
        const before = faults[index - 1];
        expect(fault.at).toBeGreaterThan(before ? before.at + before.downSeconds : 0);
        expect(fault.at).toBeLessThanOrEqual(1_000);
      });
    }
  });

  it("leaves a calm that is longer than a period and a sweep, again and again", () => {
    for (const seed of SEEDS) {
      const { faults } = scheduleOf(seed, 1_000, TOPOLOGY);
      const calms = faults.filter((fault, index) => {
        const before = faults[index - 1];
        return before && fault.at - before.at - before.downSeconds > 120;
      });
      expect(calms.length).toBeGreaterThanOrEqual(1);
    }
  });

  it("kills no node but those that have nothing of the whole cluster", () => {
    for (const seed of SEEDS) {
      const targets = scheduleOf(seed, 1_000, TOPOLOGY).faults.filter(({ kind }) => kind === "node");
      expect(targets.every(({ target }) => target === 1 || target === 2)).toBe(true);
    }
  });

  it("holds one slot of each node and fills one of all", () => {
    for (const seed of SEEDS) {
      const { roles } = scheduleOf(seed, 1_000, TOPOLOGY);
      expect([2, 5, 8].map((slot) => roles[slot])).toEqual(["hold", "hold", "hold"]);
      expect(roles.filter((role) => role === "fill").length).toBe(1);
    }
  });
});

describe("the seed of a worker", () => {
  it("is another for each slot and each worker", () => {
    const seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((slot) =>
      Array.from({ length: 100 }, (_, run) => seedOfWorker(7, slot, run)),
    );
    expect(new Set(seeds).size).toBe(seeds.length);
    expect(seedOfWorker(7, 3, 4)).toBe(seedOfWorker(7, 3, 4));
    expect(seedOfWorker(8, 3, 4)).not.toBe(seedOfWorker(7, 3, 4));
  });
});
