import type { EncryptionSettings } from "@video-storage/contract/node-agent-config";
import type { Probe } from "./probe.js";

/** GPT type of the agent's partitions, and of nobody else's: a random GUID, made for this purpose. */
export const PARTITION_TYPE = "5b0f1c2e-9d37-4a86-b1c4-7e2a90d3f658";

/** What a LUKS header of the agent's carries as its subsystem, and a volume group as its tag. */
export const SUBSYSTEM = "video-storage";

/**
 * The state of a slot is the label of its outermost signature, so that it is where the data is, and goes when
 * that does. At most 12 characters, which is what xfs has room for. Whatever isn't `ready` is made anew.
 */
export const LABELS = { making: "video-making", ready: "video-ready", wiping: "video-wiping" } as const;

export type SlotState =
  /** Nothing that blkid knows; the place is the agent's own. */
  | { readonly kind: "blank" }
  /** Making or wiping it was interrupted, or it awaits that. */
  | { readonly kind: "unfinished" }
  | { readonly kind: "ready"; readonly uuid: string }
  /** Something that the agent didn't write, or not in this way; never touched. */
  | { readonly kind: "foreign"; readonly found: string };

/** What a slot's device is, by what blkid finds on it. */
export function slotState(
  encryption: EncryptionSettings,
  filesystem: "ext4" | "xfs",
  found: Probe,
): SlotState {
  if (found["AMBIVALENT"]) return { kind: "foreign", found: "several signatures at once" };
  const type = found["TYPE"];
  const label = found["LABEL"] ?? "";
  if (type === undefined) {
    return found["PTTYPE"] === undefined
      ? { kind: "blank" }
      : { kind: "foreign", found: `a partition table (${found["PTTYPE"]})` };
  }
  const described = `${type}${label && ` labelled ${label}`}`;
  const encrypted = type === "crypto_LUKS";
  const ours =
    Object.values<string>(LABELS).includes(label) && (!encrypted || found["SUBSYSTEM"] === SUBSYSTEM);
  if (!ours) return { kind: "foreign", found: described };
  if (label !== LABELS.ready) return { kind: "unfinished" };
  if (type !== (encryption.kind === "luks" ? "crypto_LUKS" : filesystem)) {
    return { kind: "foreign", found: `${described}, made under other settings` };
  }
  return { kind: "ready", uuid: found["UUID"] ?? "" };
}
