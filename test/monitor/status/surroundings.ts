import { AuditVerifier } from "@video-storage/monitor/status/audit";
import { pageFiles } from "@video-storage/monitor/status/page-files";
import { connectPrometheus } from "@video-storage/monitor/status/prometheus";
import { StatusReader } from "@video-storage/monitor/status/reader";
import { serveStatus } from "@video-storage/monitor/status/server";
import type { StatusServer } from "@video-storage/monitor/status/server";
import { recordIntent, recordOutcome } from "@video-storage/catalogue/sweeping";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import type { StackContract } from "@video-storage/contract/stack-contract";
import { RETENTION, stackContract } from "../../support/documents.js";
import type { TestCatalogue } from "../../support/postgres.js";
import { volumeName } from "./history.js";

export const CAPACITY = 64 * 2 ** 30;

/** A contract with the volumes of a history, four on each node. */
export function contractOf(volumes: number, change: Partial<StackContract> = {}): StackContract {
  const [slot] = stackContract().slots;
  const slots = Array.from({ length: volumes }, (_, index) => ({
    ...{ ...slot!, name: volumeName(index), node: `node-${Math.floor(index / 4)}`, capacityBytes: CAPACITY },
  }));
  const cleanup = { schedule: "*/15 * * * *", cronJobs: ["cleanup"], overdueSeconds: 3000 };
  return stackContract({ slots, cleanup, ...change });
}

/** Settings that agree with that contract. */
export function cleanupConfig({
  catalogue,
  objectStorage,
  heartbeatTimeoutSeconds,
}: StackContract): CleanupConfig {
  return {
    ...{ version: 1, retention: RETENTION, tenantRetention: { limits: {}, overrides: {} } },
    ...{ heartbeatTimeoutSeconds, namespace: "video", catalogue, objectStorage, checkPods: true },
    pressure: {
      bytes: { highWaterPercent: 85, lowWaterPercent: 70 },
      inodes: { highWaterPercent: 90, lowWaterPercent: 80 },
      ...{ unuploaded: "tier", floor: { seconds: 0, bytes: 0 }, tenantFloors: {} },
    },
    tiering: { packBelowBytes: 0, concurrency: 1 },
    janitor: {
      ...{ periodSeconds: 0, unfinishedUploadSeconds: 0, unuploaded: "keep" },
      ...{ doubtAboveObjects: 1, doubtAbovePercent: 1 },
    },
    metrics: null,
  };
}

/** Deletions with their two rows, each a job of its own, by turns on the first volumes. */
export async function addDeletions(catalogue: TestCatalogue, count: number, volumes = 3): Promise<void> {
  for (let i = 0; i < count; i++) {
    const intent = {
      ...{
        volume: volumeName(i % volumes),
        tenantId: parseTenantId("acme"),
        jobId: newJobId(),
        actor: "sweep-pod",
      },
      ...{ action: "delete" as const, reason: "uploaded for 61s, allowed are 30s" },
    };
    await recordIntent(catalogue.as("cleanup"), intent);
    await recordOutcome(catalogue.as("cleanup"), { ...intent, bytes: 1024 * i, files: 3 });
  }
}

export interface Served {
  readonly server: StatusServer;
  readonly verifier: AuditVerifier;
  readonly defects: unknown[];
}

/** The page of a catalogue, on a free port of loopback. */
export async function servePageOf(
  catalogue: TestCatalogue,
  contract: StackContract,
  prometheus?: string,
): Promise<Served> {
  const auditor = catalogue.as("auditor");
  const verifier = new AuditVerifier(auditor);
  const reader = new StatusReader({
    ...{ catalogue: auditor, contract, cleanup: cleanupConfig(contract), verifier },
    prometheus: prometheus === undefined ? undefined : connectPrometheus(prometheus),
  });
  const defects: unknown[] = [];
  const server = await serveStatus({
    ...{ reader, files: await pageFiles(), host: "127.0.0.1", port: 0 },
    onDefect: (error) => void defects.push(error),
  });
  return { server, verifier, defects };
}
