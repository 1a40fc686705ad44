import { describe, expect, it } from "vitest";

import { impossibleChanges } from "../../infra/previous-deployment.js";
import { stackContract } from "../support/documents.js";

const before = stackContract();
const slotsWith = (change: object) => ({
  ...before,
  slots: before.slots.map((slot) => ({ ...slot, ...change })),
});

describe("a change of what is deployed", () => {
  it("is possible where slots come, go or change places, and where an earlier release said less", () => {
    expect(impossibleChanges(before, before)).toEqual([]);
    expect(impossibleChanges(before, { ...before, slots: [...before.slots].reverse() })).toEqual([]);
    expect(impossibleChanges(before, { ...before, slots: before.slots.slice(1) })).toEqual([]);
    expect(impossibleChanges({ ...before, slots: [] }, before)).toEqual([]);
    expect(impossibleChanges({}, before)).toEqual([]);
    expect(impossibleChanges({ slots: [{ name: "node-0-slot-0" }] }, before)).toEqual([]);
  });

  it("is refused for the size of a slot, told once", () => {
    expect(impossibleChanges(before, slotsWith({ capacityBytes: 2 ** 27 }))).toEqual([
      {
        key: "slotSize",
        value: "128Mi",
        allowed:
          "64Mi, as it is deployed: a slot's filesystem keeps its size; make a second stack with the new one and move over",
      },
    ]);
  });

  it("is refused for a slot's user, whose files lie there", () => {
    const [problem, ...others] = impossibleChanges(before, slotsWith({ runAsUser: 21_999 }));
    expect(others).toEqual([]);
    expect(problem).toEqual({
      key: "nodes",
      value: "an id with which node-0-slot-0 belongs to user 21999",
      allowed:
        "an id with which node-0-slot-0 belongs to user 21000, as it is deployed: the files there belong to that user",
    });
  });

  it("is refused for the group of a pool's slots, which lie on one node", () => {
    const of = (group: string) => slotsWith({ node: null, placement: { pool: "hot", group } });
    expect(impossibleChanges(of("hot-0"), of("hot-1")).map(({ key, allowed }) => [key, allowed])).toEqual([
      [
        "pools",
        "a slotsPerNode with which node-0-slot-0 is in hot-0, as it is deployed: its volume lies on the node of that group",
      ],
    ]);
  });

  it("is refused for the namespace, and told with the rest", () => {
    const changed = { ...slotsWith({ capacityBytes: 2 ** 27 }), namespace: "elsewhere" };
    expect(impossibleChanges(before, changed).map(({ key }) => key)).toEqual(["namespace", "slotSize"]);
  });
});
