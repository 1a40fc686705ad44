import { random } from "../support/random.js";
import type { Claim } from "./checker/evidence.js";
import type { WorkerEvent } from "./pod-logs.js";

/** Who printed something. */
export interface Printer {
  readonly pod: string;
  readonly volume: string;
  readonly tenant: string;
  /** The seed of its work; upload workers have none. */
  readonly seed?: number;
}

/** Whether and when the run uploads a job. */
export type UploadPlan = "at once" | "late" | "never";

export interface LedgerEntry {
  readonly claim: Claim;
  readonly upload: UploadPlan;
}

/** What all workers and upload workers of a run have said of each job. */
export class Ledger {
  readonly #entries = new Map<string, LedgerEntry>();
  /** How often each event was said, for the report. */
  readonly counts: Record<string, number> = {};
  /** What workers complained of, each text once. */
  readonly complaints = new Map<string, number>();

  /** Adds what was printed since the last time. */
  add(printer: Printer, events: readonly WorkerEvent[]): void {
    for (const event of events) {
      this.counts[event.event] = (this.counts[event.event] ?? 0) + 1;
      const message = event["message"];
      if (typeof message === "string") {
        const text = message
          .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "JOB")
          .replaceAll(/\b\d{5,}\b/g, "N")
          .slice(0, 300);
        this.complaints.set(text, (this.complaints.get(text) ?? 0) + 1);
      }
      if (event.event === "created") this.#begin(printer, event);
      else if (event.jobId !== undefined) this.#change(event);
    }
  }

  get entries(): readonly LedgerEntry[] {
    return [...this.#entries.values()];
  }

  get claims(): readonly Claim[] {
    return this.entries.map(({ claim }) => claim);
  }

  #begin({ pod, volume, tenant, seed }: Printer, { jobId, at }: WorkerEvent): void {
    const before = this.entries.filter(({ claim }) => claim.pod === pod).length;
    this.#entries.set(jobId!, {
      claim: { jobId: jobId!, tenantId: tenant, volume, pod, createdAt: at, files: {} },
      upload: uploadPlan(seed ?? 0, before),
    });
  }

  #change({ event, jobId, at, ...fields }: WorkerEvent): void {
    const entry = this.#entries.get(jobId!);
    if (!entry) return;
    const change = changeOf(entry.claim, event, at, fields);
    this.#entries.set(jobId!, { ...entry, claim: { ...entry.claim, ...change } });
  }
}

/** Of a worker's job, by its number: follows from the seed alone. */
export function uploadPlan(seed: number, number: number): UploadPlan {
  const drawn = random(seed + number * 7_919)();
  return drawn < 0.5 ? "at once" : drawn < 0.75 ? "late" : "never";
}

function changeOf(
  claim: Claim,
  event: string,
  at: number,
  fields: Readonly<Record<string, unknown>>,
): Partial<Claim> {
  switch (event) {
    case "written": {
      const { name, bytes, sha256 } = fields as { name: string; bytes: number; sha256: string };
      return { files: { ...claim.files, [name]: { bytes, sha256 } } };
    }
    case "ending":
      // A job that couldn't be completed ends a second time.
      return { endingAt: claim.endingAt ?? at };
    case "completed":
      return { completedAt: at };
    case "failed":
      return { failedAt: at };
    case "uploaded":
      return { uploadedAt: at };
    default:
      return {};
  }
}
