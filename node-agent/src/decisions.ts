import { KEYS } from "./volume-object.js";

/** As much of a PersistentVolume as decisions need. */
export interface Volume {
  readonly name: string;
  readonly uid: string;
  readonly phase: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly storageClass: string;
  /** `local.path`; undefined for volumes of another kind. */
  readonly path: string | undefined;
  readonly claim:
    | { readonly namespace: string; readonly name: string; readonly uid: string | undefined }
    | undefined;
  readonly deleting: boolean;
  /** When it came into its phase; undefined on clusters before 1.31. */
  readonly phaseSince: Date | undefined;
}

export type Decision =
  | { readonly do: "nothing"; readonly why: string }
  /** Released: wipe it, then offer it again. */
  | { readonly do: "wipe"; readonly claimUid: string }
  /** Note what is on the medium, so that its loss would be noticed. */
  | { readonly do: "record" }
  /** Bound, but what was on it isn't there any more. */
  | { readonly do: "lost" };

const nothing = (why: string): Decision => ({ do: "nothing", why });

/**
 * What to do with a volume of this node, whose slot holds `content` (undefined while the slot isn't ready).
 * Everything that isn't plainly released is left alone.
 */
export function decide(
  volume: Volume,
  content: string | undefined,
  wipeDelaySeconds: number,
  now: Date,
): Decision {
  if (volume.deleting) return nothing("it is being deleted");
  const known = volume.annotations[KEYS.content];
  switch (volume.phase) {
    case "Released": {
      if (volume.annotations[KEYS.onRelease] !== "wipe") return nothing("what is left on it is to be kept");
      if (volume.claim?.uid === undefined) return nothing("it names no claim that released it");
      const age = volume.phaseSince ? (now.getTime() - volume.phaseSince.getTime()) / 1000 : Infinity;
      if (age < wipeDelaySeconds) return nothing("it was released a short while ago");
      return { do: "wipe", claimUid: volume.claim.uid };
    }
    case "Bound":
      if (known === undefined)
        return content === undefined ? nothing("its slot is not ready") : { do: "record" };
      if (known === content) return nothing("it is in use");
      return { do: "lost" };
    case "Available":
      return content !== undefined && known !== content ? { do: "record" } : nothing("it is offered");
    default:
      return nothing(`its phase is ${volume.phase || "unknown"}`);
  }
}

/** Whether a blank slot may be made while this volume stands for it: not when that would hide a loss. */
export function mayMake(volume: Volume | undefined): boolean {
  if (!volume) return true;
  const used =
    volume.phase === "Bound" ||
    (volume.phase === "Released" && volume.annotations[KEYS.onRelease] !== "wipe");
  return !(used && volume.annotations[KEYS.content] !== undefined);
}

export interface PatchOperation {
  readonly op: "test" | "add" | "remove";
  readonly path: string;
  readonly value?: unknown;
}

const pointer = (key: string) => key.replaceAll("~", "~0").replaceAll("/", "~1");
const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";

/**
 * Offers a wiped volume again, unless it is another one by now or was released by another claim. A volume that is
 * kept for a claim goes on being kept for it; nothing that an engine declared is changed.
 */
export function offerPatch(volume: Volume, claimUid: string, content: string): PatchOperation[] {
  const reserved = volume.annotations[KEYS.reservedFor];
  const kept = reserved !== undefined && reserved === `${volume.claim?.namespace}/${volume.claim?.name}`;
  return [
    { op: "test", path: "/metadata/uid", value: volume.uid },
    { op: "test", path: "/spec/claimRef/uid", value: claimUid },
    { op: "add", path: `/metadata/annotations/${pointer(KEYS.content)}`, value: content },
    ...(KEYS.lost in volume.annotations
      ? [{ op: "remove" as const, path: `/metadata/annotations/${pointer(KEYS.lost)}` }]
      : []),
    ...(BOUND_BY_CONTROLLER in volume.annotations
      ? [{ op: "remove" as const, path: `/metadata/annotations/${pointer(BOUND_BY_CONTROLLER)}` }]
      : []),
    ...(kept
      ? [
          { op: "remove" as const, path: "/spec/claimRef/uid" },
          // Nothing to remove where it is already gone, and `add` before makes sure that it isn't.
          { op: "add" as const, path: "/spec/claimRef/resourceVersion", value: "" },
          { op: "remove" as const, path: "/spec/claimRef/resourceVersion" },
        ]
      : reserved === undefined
        ? [{ op: "remove" as const, path: "/spec/claimRef" }]
        : [
            {
              op: "add" as const,
              path: "/spec/claimRef",
              value: {
                apiVersion: "v1",
                kind: "PersistentVolumeClaim",
                namespace: reserved.split("/")[0],
                name: reserved.split("/")[1],
              },
            },
          ]),
  ];
}

/** Notes on a volume, unless it is another one by now. */
export function annotationPatch(volume: Volume, key: string, value: string): PatchOperation[] {
  return [
    { op: "test", path: "/metadata/uid", value: volume.uid },
    ...(Object.keys(volume.annotations).length === 0
      ? [{ op: "add" as const, path: "/metadata/annotations", value: {} }]
      : []),
    { op: "add", path: `/metadata/annotations/${pointer(key)}`, value },
  ];
}

const FIRST_USER = 1000;
const LAST_USER = 65_535;

/** The user that a claim's annotation names; undefined for none, for a system's, and for what is no user at all. */
export function claimUser(annotation: string | undefined): number | undefined {
  if (annotation === undefined || !/^\d{1,5}$/.test(annotation)) return undefined;
  const user = Number(annotation);
  return user >= FIRST_USER && user <= LAST_USER ? user : undefined;
}

export type Vanished =
  | { readonly do: "nothing" }
  | { readonly do: "note-missing" }
  | { readonly do: "note-back" }
  | { readonly do: "delete-volume" }
  | { readonly do: "delete-claim" }
  /** Bound, and its claim is not ours to delete. */
  | { readonly do: "report" };

export interface VanishedSettings {
  readonly graceSeconds: number;
  readonly claims: "keep" | "delete";
}

/** What to do with a volume that an agent made, by whether its node is in the cluster. */
export function decideVanished(
  volume: Volume,
  nodes: ReadonlySet<string>,
  settings: VanishedSettings,
  now: Date,
): Vanished {
  const since = volume.annotations[KEYS.nodeMissingSince];
  const release = (): Vanished => ({ do: settings.claims === "delete" ? "delete-claim" : "report" });
  // A cluster without any node is a mistake in the answer rather than in the cluster.
  if (volume.deleting || nodes.size === 0) return { do: "nothing" };
  if (nodes.has(volume.labels[KEYS.node] ?? "")) {
    if (since !== undefined) return { do: "note-back" };
    return volume.phase === "Bound" && KEYS.lost in volume.annotations ? release() : { do: "nothing" };
  }
  if (since === undefined) return { do: "note-missing" };
  const missing = (now.getTime() - Date.parse(since)) / 1000;
  // A time that can't be read, or lies ahead, is no proof of anything.
  if (!(missing >= settings.graceSeconds)) return { do: "nothing" };
  return volume.phase === "Bound" ? release() : { do: "delete-volume" };
}
