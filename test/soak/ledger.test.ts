import { describe, expect, it } from "vitest";

import { Ledger, uploadPlan } from "./ledger.js";
import { eventsIn } from "./pod-logs.js";

const JOB = "01a20478-d67f-7000-8000-000000000001";
const line = (event: object, kind = "F") =>
  `2026-01-01T00:00:00.0Z stdout ${kind} ${JSON.stringify(event)}\n`;

describe("a container's log", () => {
  it("is its whole lines of JSON, in order", () => {
    const log = `${line({ event: "a", at: 1 })}2026-01-01T00:00:00.0Z stderr F Warning: x\n${line({ event: "b", at: 2 })}`;
    expect(eventsIn(log)).toEqual([
      { event: "a", at: 1 },
      { event: "b", at: 2 },
    ]);
  });

  it("has long lines in parts, and no line that was cut off", () => {
    const parts = '2026-01-01T00:00:00.0Z stdout P {"event":"a",\n2026-01-01T00:00:00.0Z stdout F "at":1}\n';
    expect(eventsIn(`${parts}2026-01-01T00:00:00.0Z stdout F {"event":"b"`)).toEqual([{ event: "a", at: 1 }]);
    expect(eventsIn("")).toEqual([]);
  });
});

describe("the ledger", () => {
  const worker = { pod: "soak-1-0", volume: "node-0-slot-1", tenant: "acme", seed: 7 };
  const uploader = { pod: "upload-1", volume: "node-0-slot-1", tenant: "acme" };

  it("has of each job what was said of it, by whomever", () => {
    const ledger = new Ledger();
    ledger.add(worker, [
      { event: "created", at: 1, jobId: JOB },
      { event: "written", at: 2, jobId: JOB, name: "source.mp4", bytes: 3, sha256: "aa" },
      { event: "ending", at: 4, jobId: JOB },
      { event: "completed", at: 5, jobId: JOB },
    ]);
    ledger.add(uploader, [{ event: "uploaded", at: 6, jobId: JOB }]);
    expect(ledger.claims).toEqual([
      {
        ...{ jobId: JOB, tenantId: "acme", volume: "node-0-slot-1", pod: "soak-1-0", createdAt: 1 },
        files: { "source.mp4": { bytes: 3, sha256: "aa" } },
        ...{ endingAt: 4, completedAt: 5, uploadedAt: 6 },
      },
    ]);
    expect(ledger.counts).toEqual({ created: 1, written: 1, ending: 1, completed: 1, uploaded: 1 });
  });

  it("keeps the first time at which a worker was about to end a job", () => {
    const ledger = new Ledger();
    const events = ["created", "ending", "ending", "failed"];
    ledger.add(
      worker,
      events.map((event, at) => ({ event, at, jobId: JOB })),
    );
    expect(ledger.claims[0]).toMatchObject({ endingAt: 1, failedAt: 3 });
  });

  it("counts complaints without the names of jobs", () => {
    const ledger = new Ledger();
    const other = JOB.replace("01a2", "01a3");
    ledger.add(
      worker,
      [JOB, other].map((jobId) => ({ event: "error", at: 1, jobId, message: `${jobId} is full` })),
    );
    expect([...ledger.complaints]).toEqual([["JOB is full", 2]]);
  });

  it("plans uploads by the seed alone", () => {
    const plans = Array.from({ length: 400 }, (_, number) => uploadPlan(3, number));
    expect(plans).toEqual(Array.from({ length: 400 }, (_, number) => uploadPlan(3, number)));
    const share = (plan: string) => plans.filter((one) => one === plan).length / plans.length;
    expect([share("at once"), share("late"), share("never")].map((part) => Math.round(part * 10))).toEqual([
      5,
      expect.toBeOneOf([2, 3]),
      expect.toBeOneOf([2, 3]),
    ]);
  });
});
