import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import type { JobRecord } from "@video-storage/contract/job-record";
import type { Retention } from "@video-storage/contract/schemas";
import type { StackContract } from "@video-storage/contract/stack-contract";

export const RETENTION: Retention = {
  uploadedSeconds: 60,
  completedSeconds: 3600,
  failedSeconds: 600,
  abandonedSeconds: 1200,
  trashSeconds: 60,
  stagedSeconds: 86_400,
  orphanedSeconds: 86_400,
  completedAction: "tier",
};

/** A valid record of an active job, changed as asked. */
export function jobRecord(change: Partial<JobRecord> = {}): JobRecord {
  return {
    version: 1,
    tenantId: parseTenantId("acme"),
    jobId: newJobId(),
    state: "active",
    revision: 1,
    createdAt: "2026-01-02T03:04:05.678Z",
    stateChangedAt: "2026-01-02T03:04:05.678Z",
    owner: { volume: "node-0-slot-0", node: "node-0", namespace: "video", pod: "worker-0" },
    files: {},
    attributes: {},
    ...change,
  };
}

/** A valid contract with two tenants and two slots, changed as asked. */
export function stackContract(change: Partial<StackContract> = {}): StackContract {
  return {
    contractVersion: 1,
    environment: "test",
    layout: {
      ...{ mountPath: "/tmp/video-jobs", sourceFile: "source.mp4" },
      ...{ metadataFile: "metadata.json", logsDirectory: "logs" },
    },
    namespace: "video",
    storageClass: "video-local",
    uploadGroup: 20_000,
    slotsPerNode: 2,
    slots: [0, 1].map((index) => ({
      ...{ name: `node-0-slot-${index}`, node: "node-0", claim: `slot-${index}` },
      ...{
        runAsUser: 21_000 + index,
        capacityBytes: 67_108_864,
        tenant: null,
        placement: null,
        subPath: null,
      },
    })),
    tenants: ["acme", "globex"].map((id) => ({
      ...{ id: parseTenantId(id), catalogueSecret: `catalogue-${id}`, objectStorageSecret: `objects-${id}` },
    })),
    uploader: {
      serviceAccount: "uploader",
      catalogueSecret: "catalogue-uploader",
      objectStorageSecret: null,
    },
    worker: { serviceAccount: "worker" },
    userNamespaces: false,
    tolerations: [],
    catalogue: { host: "127.0.0.1", port: 5432, database: "storage", tls: false },
    objectStorage: {
      endpoint: "http://127.0.0.1:9000",
      region: "us-east-1",
      bucket: "video",
      forcePathStyle: true,
      credentials: "secret",
      caFile: null,
    },
    retention: RETENTION,
    heartbeatSeconds: 5,
    heartbeatTimeoutSeconds: 30,
    reserveBytes: 0,
    jobsPerSlot: null,
    staging: { maxLocalSeconds: null },
    scan: null,
    cleanup: { schedule: "*/1 * * * *", cronJobs: ["cleanup-node-0"] },
    antivirus: { excludePaths: ["/tmp/video-jobs"] },
    ...change,
  };
}
