import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CataloguedJob } from "@video-storage/catalogue/sweeping";
import { newJobId } from "@video-storage/contract/identity";
import type { JobId } from "@video-storage/contract/identity";
import type { Rules } from "@video-storage/contract/plan";
import type { SweepContext } from "../../cleanup-job/src/context.js";
import { openRoot } from "../../cleanup-job/src/deletion/handles.js";
import { explain, formatExplanation } from "../../cleanup-job/src/explain.js";
import { humanReporter, jsonReporter } from "../../cleanup-job/src/report.js";
import type { Event } from "../../cleanup-job/src/report.js";
import { jobRecord, RETENTION } from "../support/documents.js";

/** What tenants chose, where whoever runs the cleanup job by hand reads it. */

const TITLE = "\u001b]0;owned\u0007";
const SHOWN_TITLE = "\\u001b]0;owned\\u0007";

let directory: string;

beforeAll(() => {
  directory = fs.mkdtempSync(`${tmpdir()}/tenant-text-`);
});
afterAll(() => fs.rmSync(directory, { recursive: true }));

function forPeople(event: Event): string {
  let text = "";
  humanReporter((line) => (text += line))(event);
  return text;
}

describe("a line for people", () => {
  it("is as ever when there is nothing in it that a terminal obeys", () => {
    const fields = { job: "j", reason: "it is Ünï", tenant: "acme", counts: { a: 1 } };
    expect(forPeople({ event: "deleted", ...fields })).toBe(
      '  deleted     j  it is Ünï  tenant=acme counts={"a":1}\n',
    );
  });

  it("has escaped what a terminal would obey, wherever that stands", () => {
    const event = { event: TITLE, job: TITLE, reason: TITLE, pod: `${TITLE}\n`, names: ["\u009b2J"] };
    expect(forPeople(event)).toBe(
      `  ${SHOWN_TITLE}  ${SHOWN_TITLE}  ${SHOWN_TITLE}  pod=${SHOWN_TITLE}\\u000a names=["\\u009b2J"]\n`,
    );
  });

  it("lets a reason go on below, where no event begins", () => {
    const reason = "not valid:\n✗ failed      j\r\n  deleted     j";
    expect(forPeople({ event: "attention", level: "warning", reason })).toBe(
      "! attention   not valid:\n    ✗ failed      j\\u000d\n      deleted     j\n",
    );
  });
});

describe("a line of JSON", () => {
  it("has escaped what a terminal would obey, and means the same", () => {
    let text = "";
    jsonReporter((line) => (text += line))({ event: "found", pod: "\u009b2J\u202e\u007f" });
    expect(text).toContain('"pod":"\\u009b2J\\u202e\\u007f"}\n');
    expect(JSON.parse(text)).toMatchObject({ event: "found", pod: "\u009b2J\u202e\u007f" });
  });
});

describe("an explanation", () => {
  async function explained(jobId: JobId) {
    const root = await openRoot(directory);
    const rules = {
      ...{ retention: RETENTION, heartbeatTimeoutSeconds: 1, checkPods: false, hasObjectStorage: false },
    } satisfies Rules;
    // Neither rows nor an audit: the catalogue doesn't know the job.
    const catalogue = { query: () => Promise.resolve([]) };
    try {
      return await explain({ root, catalogue, volume: "v", rules } as unknown as SweepContext, jobId);
    } finally {
      await root.close();
    }
  }

  it("shows a record's keys escaped, and the first 20 of them, for people and for programs", async () => {
    const jobId = newJobId();
    fs.mkdirSync(`${directory}/${jobId}`);
    const file = { bytes: 1, sha256: "a".repeat(64) };
    const files = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${TITLE}${i}`, file]));
    const text = JSON.stringify({ ...jobRecord({ jobId }), files });
    fs.writeFileSync(`${directory}/${jobId}/metadata.json`, text);
    const keys = Array.from({ length: 20 }, (_, i) => `  files.${SHOWN_TITLE}${i}: Invalid key in record`);
    const problem = ["the job record is not valid:", ...keys, "  and 980 more"];

    const explanation = await explained(jobId);
    expect(explanation.record).toEqual({ readable: false, problem: problem.join("\n") });
    const shown = problem.join(`\n${" ".repeat(13)}`);
    expect(formatExplanation(explanation)).toBe(
      `${jobId} on volume v: report\n` +
        `  because    the catalogue doesn't know it and its record can't be read: ${shown} (not-in-catalogue)\n` +
        `  record     can't be read: ${shown}\n` +
        "  catalogue  doesn't know it\n" +
        "  lock       free\n",
    );
  });

  it("shows what a tenant had written into the catalogue escaped, and no line of it as one of its own", () => {
    const catalogue = {
      ...{ state: "active", secondsInState: 1, secondsSinceHeartbeat: 1, location: "local" },
      ...{ namespace: "video", pod: `${TITLE}\n  lock       free`, node: "node-0" },
    } as CataloguedJob;
    const decision = { action: "keep", code: "heartbeat-fresh", reason: "it is active" } as const;
    const explanation = { job: newJobId(), volume: "v", record: null, leaseHeld: true, history: [] };
    const text = formatExplanation({
      ...explanation,
      ...{ catalogue, decision: { ...decision, contradiction: false } },
    });
    expect(text).toBe(
      `${explanation.job} on volume v: keep\n` +
        "  because    it is active (heartbeat-fresh)\n" +
        "  record     no directory here\n" +
        `  catalogue  active for 1s, last heartbeat 1s ago, pod video/${SHOWN_TITLE}\n` +
        `${" ".repeat(13)}  lock       free on node-0, location local\n` +
        "  lock       held by a worker or uploader\n",
    );
  });
});
