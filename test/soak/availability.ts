import { setTimeout as sleep } from "node:timers/promises";

import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import pg from "pg";

import type { SoakEnvironment } from "./environment.js";
import type { History } from "./history.js";

/** What does not answer within so many seconds is away for whoever asks: the sweep waits as long for the catalogue. */
const PATIENCE_SECONDS = 5;
const ASK_EVERY_SECONDS = 2;

/**
 * Asks the database, the S3 server and the API server, as their clients do, and notes when one doesn't answer: also
 * what Kubernetes does by itself after a fault, or a machine that has too much to do, takes something away.
 */
export async function watchAvailability(
  environment: SoakEnvironment,
  history: History,
  signal: AbortSignal,
): Promise<void> {
  const { s3, bucket, core, contract, catalogueUrl } = environment;
  const abort = (): { abortSignal: AbortSignal } => ({
    abortSignal: AbortSignal.timeout(PATIENCE_SECONDS * 1000),
  });
  const parts: [string, () => Promise<unknown>][] = [
    ["Postgres, asked", () => askPostgres(catalogueUrl)],
    [
      "the S3 server, asked",
      () => s3.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 }), abort()),
    ],
    ["the API server, asked", () => core.listNamespacedPod({ namespace: contract.namespace, limit: 1 })],
  ];
  await Promise.all(
    parts.map(async ([what, ask]) => {
      while (!signal.aborted) {
        const askedAt = Date.now();
        if (!(await answers(ask))) {
          const back = async (): Promise<void> => {
            while (!signal.aborted && !(await answers(ask))) await sleep(500);
          };
          await history.during(what, null, back, askedAt);
        }
        await sleep(ASK_EVERY_SECONDS * 1000, undefined, { signal }).catch(() => undefined);
      }
    }),
  );
}

async function answers(ask: () => Promise<unknown>): Promise<boolean> {
  const late = sleep(PATIENCE_SECONDS * 1000, false);
  const answer = ask().then(
    () => true,
    () => false,
  );
  return Promise.race([answer, late]);
}

async function askPostgres(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: PATIENCE_SECONDS * 1000,
    query_timeout: PATIENCE_SECONDS * 1000,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("select 1");
  } finally {
    await client.end().catch(() => undefined);
  }
}
