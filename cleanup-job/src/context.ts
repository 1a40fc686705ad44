import type { Catalogue } from "@video-storage/catalogue/connection";
import type { TieringSettings } from "@video-storage/contract/cleanup-config";
import type { Rules } from "@video-storage/contract/plan";
import type { ObjectStorage } from "@video-storage/worker/object-storage";
import type { Directory } from "./deletion/handles.js";
import type { PodSource } from "./pod-liveness.js";
import type { Reporter } from "./report.js";

/** What one sweep of one volume works with. */
export interface SweepContext {
  readonly volume: string;
  readonly root: Directory;
  readonly catalogue: Catalogue;
  readonly rules: Rules;
  /** How long something lies in the trash without an intent before it is taken for forgotten. */
  readonly trashSeconds: number;
  /** Undefined when pods are not asked about. */
  readonly pods: PodSource | undefined;
  readonly store: ObjectStorage | undefined;
  /** Default: nothing is packed. */
  readonly tiering?: TieringSettings;
  /** Why jobs go before their time; undefined while the volume has room. */
  readonly pressure?: string;
  /** Who the audit says it was. */
  readonly actor: string;
  readonly report: Reporter;
  /** Told of every job that was looked at, for whoever watches. */
  readonly progress?: () => void;
  /** No further job is begun. */
  readonly stop: AbortSignal;
  /** The one that was begun is left for the next sweep to finish. */
  readonly stopNow: AbortSignal;
}
