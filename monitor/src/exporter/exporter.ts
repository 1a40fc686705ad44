import type { Catalogue } from "@video-storage/catalogue/connection";
import {
  auditLag,
  bucketUpkeep,
  eligibleJobs,
  jobTotals,
  oldestJobs,
  sweepTotals,
  volumesInUse,
} from "@video-storage/catalogue/statistics";
import { retentionOf } from "@video-storage/contract/cleanup-config";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { expose } from "@video-storage/contract/exposition";
import type { StackContract } from "@video-storage/contract/stack-contract";
import { samplesOf } from "./samples.js";
import type { CatalogueFigures } from "./samples.js";

/** What the stack says, and the exporter needs of it. */
export interface ExporterDocuments {
  readonly contract: Pick<StackContract, "environment" | "slots" | "jobsPerSlot">;
  readonly retention: Pick<CleanupConfig, "retention" | "tenantRetention">;
}

export interface ExporterOptions {
  readonly catalogue: Pick<Catalogue, "query">;
  /** Asked at each scrape, so that what the stack changes counts at once. */
  readonly documents: () => ExporterDocuments;
  /** An answer of the catalogue is used again for that long, so that two Prometheus servers cost what one does. */
  readonly cacheSeconds: number;
  /** The catalogue counts as away when all that is asked of it took longer. Less than a scrape may take. */
  readonly timeoutSeconds: number;
  /** Told when the catalogue goes away, with why, and when it is back. */
  readonly onChange?: (up: boolean, reason?: string) => void;
}

/**
 * Answers scrapes from the catalogue: one question at a time, whoever asks, and for a while the same answer to all. Never
 * rejects because of the catalogue: that it is away is an answer too.
 */
export function exporterOf(options: ExporterOptions): () => Promise<string> {
  const { catalogue, documents, timeoutSeconds, onChange } = options;
  let asking: Promise<CatalogueFigures | undefined> | undefined;
  let kept: { readonly figures: CatalogueFigures | undefined; readonly at: number } | undefined;
  let up: boolean | undefined;

  const ask = async ({ contract, retention }: ExporterDocuments): Promise<CatalogueFigures | undefined> => {
    try {
      const figures = await withinSeconds(timeoutSeconds, (signal) =>
        figuresOf(catalogue, contract, retention, signal),
      );
      if (up === false) onChange?.(true);
      up = true;
      return figures;
    } catch (error) {
      if (up !== false) onChange?.(false, (error as Error).message);
      up = false;
      return undefined;
    }
  };

  return async () => {
    const said = documents();
    if (kept === undefined || performance.now() - kept.at > options.cacheSeconds * 1000) {
      asking ??= ask(said).finally(() => (asking = undefined));
      kept = { figures: await asking, at: performance.now() };
    }
    const { contract } = said;
    return expose(samplesOf(contract, kept.figures), { environment: contract.environment });
  };
}

/** One after another, on one connection: monitoring has time, and the catalogue's other users come first. */
async function figuresOf(
  catalogue: Pick<Catalogue, "query">,
  { slots }: ExporterDocuments["contract"],
  retention: ExporterDocuments["retention"],
  signal: AbortSignal,
): Promise<CatalogueFigures> {
  const started = performance.now();
  const next = async <T>(work: () => Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    return work();
  };
  const volumes = slots.map(({ name }) => name);
  return {
    totals: await next(() => jobTotals(catalogue)),
    oldest: await next(() => oldestJobs(catalogue)),
    eligible: await next(() => eligibleJobs(catalogue, (tenantId) => retentionOf(retention, tenantId))),
    auditLag: await next(() => auditLag(catalogue)),
    sweeps: await next(() => sweepTotals(catalogue)),
    buckets: await next(() => bucketUpkeep(catalogue)),
    slotsInUse: await next(() => volumesInUse(catalogue, volumes)),
    seconds: (performance.now() - started) / 1000,
  };
}

/** What was begun is not waited for any longer, and nothing more of it is. */
async function withinSeconds<T>(seconds: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new Error(`the catalogue didn't answer everything within ${seconds} s`));
  }, seconds * 1000);
  try {
    return await Promise.race([
      work(late.signal),
      new Promise<never>((_, reject) => {
        late.signal.addEventListener("abort", () => reject(late.signal.reason as Error));
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
