/** Slot n of the whole stack belongs to user and group 10000 + n, so that no two workers share one. */
export const FIRST_SLOT_USER = 10_000;

/** The group that every job directory is readable by; only the upload process is a member besides the worker. */
export const UPLOAD_GROUP = 20_000;

/** The upload process. */
export const UPLOADER_USER = 20_001;

/** The S3 server and its volume. */
export const OBJECT_STORAGE_USER = 30_000;

/** The jobs that set up the bucket and the catalogue. */
export const SETUP_USER = 30_001;

/** The user, and the group of the same number, that owns slot `index` (counted over all nodes). */
export function slotUser(index: number): number {
  return FIRST_SLOT_USER + index;
}

/** What the restricted Pod Security Standard asks of a pod, for one user. */
export function podSecurity(user: number, groups: { supplementalGroups?: number[]; fsGroup?: number } = {}) {
  return {
    runAsNonRoot: true,
    runAsUser: user,
    runAsGroup: user,
    ...(groups.supplementalGroups && { supplementalGroups: groups.supplementalGroups }),
    // OnRootMismatch, because the default walks the whole volume at every mount.
    ...(groups.fsGroup !== undefined && { fsGroup: groups.fsGroup, fsGroupChangePolicy: "OnRootMismatch" }),
    seccompProfile: { type: "RuntimeDefault" },
  };
}

/** What the restricted Pod Security Standard asks of a container, with a read-only root besides. */
export function containerSecurity(user?: number) {
  return {
    ...(user !== undefined && { runAsUser: user, runAsGroup: user }),
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  };
}
