/**
 * Slot n of the node with id i belongs to user and group 21000 + 32 i + n, so that no two workers share one
 * and a slot keeps its user whatever happens to other nodes: files outlive the configuration.
 */
export const FIRST_SLOT_USER = 21_000;

/** Users that belong to one id, and so the most slots that a node may have. */
export const USERS_OF_AN_ID = 32;

/** The last id whose users are all below 65536: a pod with `hostUsers: false` has only those. */
export const LAST_ID = 1390;

/** The group that every job directory is readable by; only the upload process is a member. */
export const UPLOAD_GROUP = 20_000;

/** The upload process. */
export const UPLOADER_USER = 20_001;

/** The S3 server and its volume. */
export const OBJECT_STORAGE_USER = 20_010;

/** The jobs that set up the bucket and the catalogue. */
export const SETUP_USER = 20_011;

/** The exporter and the Pushgateway. */
export const MONITORING_USER = 20_012;

/** The user, and the group of the same number, that owns slot `index` of what has id `id`. */
export function slotUser(id: number, index: number): number {
  return FIRST_SLOT_USER + id * USERS_OF_AN_ID + index;
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

/**
 * `hostUsers: false` gives the pod users of its own. A process of the node's own user namespace may change the
 * project id of its files and so leave a project quota (kubernetes#112626), and a root that breaks out of
 * its container is the node's root. Needs Linux 6.3, containerd 2.0 and runc 1.2, and filesystems that can be
 * mounted with other ids; a pod that asks where it can't be had doesn't start, so it is asked for by setting.
 */
export function userNamespace(enabled: boolean) {
  return enabled ? { hostUsers: false } : {};
}
