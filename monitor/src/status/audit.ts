import { setTimeout as sleep } from "node:timers/promises";
import { verifyAudit } from "@video-storage/catalogue/archive";
import { auditedVolumes } from "@video-storage/catalogue/audit";
import type { AuditAnchor, AuditVerification } from "@video-storage/catalogue/audit";
import type { Catalogue } from "@video-storage/catalogue/connection";
import type { AuditRow } from "@video-storage/catalogue/status-queries";
import { AUDIT_PROBLEMS_SHOWN } from "./model.js";
import type { AuditEntry, Verification } from "./model.js";

export function auditEntry(row: AuditRow): AuditEntry {
  return {
    at: row.recordedAt.toISOString(),
    ...{ volume: row.volume, sequence: row.sequence, tenant: row.tenantId, job: row.jobId },
    ...{ phase: row.phase, action: row.action, reason: row.reason },
    ...{ bytes: row.bytes, files: row.files, actor: row.actor },
  };
}

export const NOT_VERIFIED: Verification = {
  ...{ state: "not-asked", entries: 0, unchecked: 0, chains: 0, problems: [], problemsFound: 0 },
  ...{ finishedAt: null, seconds: null, failure: null },
};

/** Proves all chains, one after another, and tells after each. */
export class AuditVerifier {
  #verification: Verification = NOT_VERIFIED;
  /** Where each chain ended when it was last whole: shows ends that are cut off while somebody looks on. */
  #anchors: readonly AuditAnchor[] = [];
  private readonly catalogue: Catalogue;
  private readonly clock: () => number;

  constructor(catalogue: Catalogue, clock: () => number = Date.now) {
    this.catalogue = catalogue;
    this.clock = clock;
  }

  /** What the last whole verification found, or how far the first one is. */
  get verification(): Verification {
    return this.#verification;
  }

  /** Proves everything once. What can't be asked is in the result; nothing is thrown. */
  async verify(signal?: AbortSignal): Promise<Verification> {
    const started = this.clock();
    try {
      const found = await this.#verifyChains(signal);
      if (signal?.aborted) return this.#verification;
      this.#verification = {
        state: found.intact ? "intact" : "broken",
        ...{ entries: found.entries, unchecked: found.unchecked, chains: found.chains },
        ...{ problems: found.problems, problemsFound: found.problemsFound },
        finishedAt: new Date(this.clock()).toISOString(),
        seconds: (this.clock() - started) / 1000,
        failure: null,
      };
      if (found.intact) this.#anchors = found.anchors;
    } catch (error) {
      // What was proven before stays proven.
      const { message } = error as Error;
      const before = this.#verification.finishedAt !== null ? this.#verification : NOT_VERIFIED;
      this.#verification = {
        ...before,
        state: before.finishedAt ? before.state : "failed",
        failure: message,
      };
    }
    return this.#verification;
  }

  async #verifyChains(signal: AbortSignal | undefined): Promise<AuditVerification & { chains: number }> {
    const anchored = this.#anchors;
    const names = new Set([...(await auditedVolumes(this.catalogue)), ...anchored.map((a) => a.volume)]);
    const all = { intact: true, entries: 0, unchecked: 0, problemsFound: 0, chains: 0 };
    const problems: Verification["problems"][number][] = [];
    const anchors: AuditAnchor[] = [];
    for (const volume of names) {
      if (signal?.aborted) break;
      const found = await verifyAudit(this.catalogue, { volume, anchors: anchored });
      all.intact &&= found.intact;
      all.entries += found.entries;
      all.unchecked += found.unchecked;
      all.problemsFound += found.problemsFound;
      all.chains++;
      problems.push(...found.problems.slice(0, AUDIT_PROBLEMS_SHOWN - problems.length));
      anchors.push(...found.anchors);
      if (this.#verification.finishedAt === null) {
        this.#verification = { ...NOT_VERIFIED, ...all, problems, state: all.intact ? "running" : "broken" };
      }
    }
    return { ...all, problems, anchors };
  }
}

/** No more often than a tenth of the time goes into it. */
const REST = 9;

/** Verifies again and again until it is stopped. */
export async function keepVerifying(
  verifier: AuditVerifier,
  { leastSeconds, stop }: { readonly leastSeconds: number; readonly stop: AbortSignal },
): Promise<void> {
  while (!stop.aborted) {
    const started = performance.now();
    await verifier.verify(stop);
    const took = performance.now() - started;
    await sleep(Math.max(leastSeconds * 1000, REST * took), undefined, { signal: stop, ref: false }).catch(
      () => {},
    );
  }
}
