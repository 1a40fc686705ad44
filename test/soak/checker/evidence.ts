// What the checker goes by: what it found on disks, in buckets and in the database, and what the run claims. Plain
// values; nothing of the programs that are checked is used but the names of the layout. Times are milliseconds since
// 1970 by this machine's clock, which the database shares.

import type { Code } from "./codes.js";

/** A volume as the run made it. */
export interface Volume {
  readonly name: string;
  readonly node: string;
  /** Where this machine sees its root. */
  readonly path: string;
  /** User and group of the slot. */
  readonly uid: number;
  /** Group of the upload process. */
  readonly uploadGid: number;
  /** The one tenant that the run lets work there. */
  readonly tenant: string;
}

/** One entry of a filesystem, as lstat(2) has it. */
export interface Entry {
  /** Below the volume's root. */
  readonly path: string;
  readonly kind: "file" | "directory" | "link" | "other";
  readonly uid: number;
  readonly gid: number;
  /** The lowest twelve bits. */
  readonly mode: number;
  /** Names of the same file. */
  readonly names: number;
  readonly bytes: number;
  /** When it last changed its name, owner or content. */
  readonly changedAt: number;
  /** Of a file's content; lower-case hexadecimal. */
  readonly sha256?: string;
}

/** What lies on a volume. */
export interface DiskEvidence {
  readonly volume: Volume;
  readonly entries: readonly Entry[];
  /** By job id, the job's own record where it can be read; as JSON. */
  readonly records: ReadonlyMap<string, RecordOnDisk>;
}

/** What of a job's own record counts here. */
export interface RecordOnDisk {
  readonly tenantId: string;
  readonly jobId: string;
  readonly state: string;
  readonly files: Readonly<Record<string, { sha256: string; location?: string }>>;
}

/** An object that is there. */
export interface BucketObject {
  readonly key: string;
  readonly bytes: number;
  readonly writtenAt: number;
  /** Lower-case hexadecimal, of what was read. */
  readonly sha256: string;
  /** Of packs alone: a run's objects are more than what fits into memory. */
  readonly content?: Uint8Array;
}

export interface JobRow {
  readonly tenantId: string;
  readonly jobId: string;
  readonly state: string;
  readonly volume: string;
  readonly location: string;
  readonly createdAt: number;
  readonly stateChangedAt: number;
  readonly heartbeatAt: number;
  readonly lastAccessAt: number;
  readonly deletedAt: number | null;
}

export interface ObjectRow {
  readonly tenantId: string;
  readonly jobId: string;
  readonly bucket: string;
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly packKey: string | null;
  readonly packOffset: number | null;
  readonly verifiedAt: number;
  readonly removedAt: number | null;
}

export interface AuditRow {
  readonly volume: string;
  readonly sequence: number;
  readonly tenantId: string | null;
  readonly jobId: string;
  readonly phase: string;
  readonly action: string;
  readonly reason: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly bytes: number | null;
  readonly files: number | null;
  readonly actor: string;
  readonly login: string;
  readonly recordedAt: number;
  readonly payload: string;
  readonly previousHash: string;
  readonly hash: string;
}

/** A sweep that ended, by its own row. */
export interface SweepRow {
  readonly volume: string;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly result: string;
}

export interface CatalogueEvidence {
  readonly now: number;
  readonly jobs: readonly JobRow[];
  readonly objects: readonly ObjectRow[];
  readonly audit: readonly AuditRow[];
  readonly sweeps: readonly SweepRow[];
}

/** One attempt with a tenant's own credentials. */
export interface Attempt {
  readonly tenant: string;
  readonly what: string;
  /** False: what was tried is somebody else's. True: it is the tenant's own, and shows that the credentials work. */
  readonly own: boolean;
  readonly allowed: boolean;
}

/** What a worker or an uploader printed of one job, each line when the call had returned. */
export interface Claim {
  readonly jobId: string;
  readonly tenantId: string;
  readonly volume: string;
  readonly pod: string;
  readonly createdAt: number;
  /** Files whose write had returned. */
  readonly files: Readonly<Record<string, { bytes: number; sha256: string }>>;
  /** When its worker was about to end it. */
  readonly endingAt?: number;
  readonly completedAt?: number;
  readonly failedAt?: number;
  readonly uploadedAt?: number;
}

/** A time during which some part was away, and with it what depends on it. */
export interface Outage {
  readonly what: string;
  /** Null: for every node. */
  readonly node: string | null;
  readonly from: number;
  readonly until: number;
}

/** The last row of a chain as it was seen earlier in the run. */
export interface Anchor {
  readonly volume: string;
  readonly sequence: number;
  readonly hash: string;
}

/** What the run knows and the checker can't find out. */
export interface Run {
  readonly startedAt: number;
  readonly claims: readonly Claim[];
  /** By pod, when its processes ended; pods that are not named still run. */
  readonly endedPods: ReadonlyMap<string, number>;
  readonly outages: readonly Outage[];
  readonly anchors: readonly Anchor[];
  readonly times: Times;
}

/** How long what may stay, in seconds. */
export interface Times {
  readonly uploaded: number;
  readonly completed: number;
  readonly failed: number;
  readonly abandoned: number;
  readonly trash: number;
  readonly staged: number;
  readonly orphaned: number;
  readonly heartbeatTimeout: number;
  /** Between two sweeps of a volume. */
  readonly period: number;
  readonly janitorPeriod: number;
  /** From the time at which a sweep is due to its end, on the machine of the run. */
  readonly sweep: number;
}

export interface Evidence {
  readonly run: Run;
  readonly disks: readonly DiskEvidence[];
  readonly bucket: string;
  readonly objects: readonly BucketObject[];
  readonly catalogue: CatalogueEvidence;
  readonly attempts: readonly Attempt[];
}

/** Something that must not be. */
export interface Violation {
  readonly code: Code;
  /** The job, row, path, key or login that it is about. */
  readonly subject: string;
  readonly detail: string;
}
