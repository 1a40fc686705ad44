import { describe, expect, it } from "vitest";
import {
  IllegalTransitionError,
  JOB_STATES,
  canBecome,
  reconcile,
  transition,
} from "@video-storage/contract/states";
import type { JobState } from "@video-storage/contract/states";

const LEGAL = [
  ...["completed", "failed", "abandoned", "handed-over", "quarantined"].map((to) => `active>${to}`),
  ...["completed>uploaded", "completed>quarantined"],
];
const PAIRS = JOB_STATES.flatMap((from) => JOB_STATES.map((to) => [from, to] as const));

describe("the state machine", () => {
  it.each(PAIRS)("%s to %s", (from, to) => {
    const legal = LEGAL.includes(`${from}>${to}`);
    expect(canBecome(from, to)).toBe(legal);
    if (legal) expect(transition(from, to)).toBe(to);
    else expect(() => transition(from, to)).toThrow(IllegalTransitionError);
  });

  it("says what would be allowed", () => {
    expect(() => transition("completed", "failed")).toThrow(
      "from completed it can become uploaded or quarantined",
    );
    expect(() => transition("uploaded", "active")).toThrow("uploaded is final");
  });
});

describe("one state from record and catalogue", () => {
  const agreed: [JobState, JobState, JobState][] = [
    ["active", "abandoned", "abandoned"], // the sweep was ahead
    ["completed", "uploaded", "uploaded"], // the uploader was
    ["completed", "active", "completed"], // the worker was, and its report is missing
    ["failed", "active", "failed"],
    ["handed-over", "active", "handed-over"],
    ["quarantined", "active", "quarantined"],
    ["quarantined", "completed", "quarantined"],
    ["completed", "quarantined", "quarantined"], // the uploader, which can't write the record
  ];
  it.each(agreed)("record %s, catalogue %s: %s", (record, catalogue, state) => {
    expect(reconcile(record, catalogue)).toEqual({ state, contradiction: false });
  });

  const contradicting: [JobState, JobState, JobState][] = [
    ["active", "completed", "active"],
    ["active", "uploaded", "active"],
    ["completed", "abandoned", "completed"],
    ["completed", "failed", "completed"],
    ["failed", "uploaded", "failed"],
    ["abandoned", "failed", "abandoned"],
    ["active", "quarantined", "active"],
    ["completed", "handed-over", "completed"],
    ["failed", "handed-over", "handed-over"],
  ];
  it.each(contradicting)(
    "record %s, catalogue %s: contradiction, taken as %s",
    (record, catalogue, state) => {
      expect(reconcile(record, catalogue)).toEqual({ state, contradiction: true });
    },
  );

  it("never makes a job deletable that either of the two calls active, unless the worker or the sweep ended it", () => {
    const endedThough = PAIRS.filter(([a, b]) => a === "active" || b === "active")
      .filter(([record, catalogue]) => reconcile(record, catalogue).state !== "active")
      .map((pair) => pair.join("/"));
    expect(endedThough.sort()).toEqual([
      ...[
        "active/abandoned",
        "completed/active",
        "failed/active",
        "handed-over/active",
        "quarantined/active",
      ],
    ]);
  });
});
