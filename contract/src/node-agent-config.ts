import { z } from "zod";
import { readDocument, secondsSchema } from "./schemas.js";

/** Where the ConfigMap with the node agent's settings is mounted in its pod. */
export const NODE_AGENT_CONFIG_FILE = "/etc/video-storage/node-agent.json";

/** The entry of `nodes` that stands for every node that has none of its own. */
export const ANY_NODE = "*";

const MEBIBYTE = 2 ** 20;

const absolutePath = z
  .string()
  .regex(/^(?:\/(?!\.{1,2}(?:\/|$))[\w.-]+)+$/, "must be an absolute path without . or ..");
const pattern = z
  .string()
  .regex(
    /^\/dev(?:\/(?!\.{1,2}\/)[\w.:+-]+)*\/(?!\.{1,2}$)[\w.:*+-]+$/,
    "must be a path below /dev, with * in its last component only, such as /dev/disk/by-id/nvme-Samsung*",
  );
const slotName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,34}[a-z0-9])?$/, "must be 1 to 36 lower-case letters, digits and hyphens");
const identifier = z
  .int()
  .min(0)
  .max(2 ** 31);

const slotSchema = z.strictObject({
  /** Name of its mount point, and of its partition or file. */
  name: slotName,
  /** Size of what its filesystem is made on: a hard limit. */
  bytes: z
    .int()
    .min(16 * MEBIBYTE)
    .refine((bytes) => bytes % MEBIBYTE === 0, { error: "must be a multiple of 1 MiB" }),
  /** Owner of the filesystem's root directory, and its permission bits. */
  user: identifier,
  group: identifier,
  mode: z.string().regex(/^[0-7]{3,4}$/, "must be an octal mode such as 2750"),
});
/** One slot of a node: a filesystem of fixed size. */
export type SlotSettings = z.infer<typeof slotSchema>;

const nodeSchema = z
  .strictObject({
    /** Parent of the mount points; the agent covers it with a small tmpfs. */
    directory: absolutePath,
    slots: z.array(slotSchema).min(1).max(256),
  })
  .refine(({ slots }) => new Set(slots.map(({ name }) => name)).size === slots.length, {
    error: "must name every slot once",
  });
export type NodeSettings = z.infer<typeof nodeSchema>;

const keySchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("files"),
    /** The first makes new slots; each is tried on old ones, so that a key can be replaced in steps. */
    files: z.array(absolutePath).min(1),
  }),
  z.strictObject({
    kind: z.literal("tpm2"),
    /** A persistent handle that holds the sealed key, such as 0x81010001. */
    handle: z.string().regex(/^0x81[0-9a-fA-F]{6}$/, "must be a persistent handle such as 0x81010001"),
    /** The PCRs that it is sealed to, such as sha256:0,2,7; null for none. */
    pcrs: z
      .string()
      .regex(/^(?:sha1|sha256|sha384|sha512):\d{1,2}(?:,\d{1,2})*$/, "must be such as sha256:0,2,7")
      .nullable(),
  }),
]);
export type KeySettings = z.infer<typeof keySchema>;

const encryptionSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("luks"), key: keySchema }),
  /** The medium encrypts by itself; `reason` says how that is known. */
  z.strictObject({ kind: z.literal("medium"), reason: z.string().min(1) }),
  z.strictObject({ kind: z.literal("none") }),
]);
export type EncryptionSettings = z.infer<typeof encryptionSchema>;

const mediumSchema = z.discriminatedUnion("kind", [
  /** A file for each slot, for machines without a disk to spare. */
  z.strictObject({
    kind: z.literal("loop-files"),
    directory: absolutePath,
    /** Whether a file's blocks are taken at once, so that the slots can't outgrow the disk together. */
    preallocate: z.boolean(),
  }),
  /** Whole disks that match, each taken only if it is blank or was prepared by the agent. */
  z.strictObject({ kind: z.literal("devices"), patterns: z.array(pattern).min(1) }),
]);
export type MediumSettings = z.infer<typeof mediumSchema>;

const layoutSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("slots"),
    filesystem: z.enum(["ext4", "xfs"]),
    /** How many files and directories a slot holds at most; null leaves it to the filesystem. ext4 only. */
    inodes: z.int().min(16).nullable(),
    nodes: z.record(z.string(), nodeSchema),
  }),
  /** One LVM volume group, which a CSI driver divides. */
  z.strictObject({
    kind: z.literal("volume-group"),
    name: z.string().regex(/^[a-zA-Z0-9_][\w+.-]{0,60}$/, "must be a volume group's name"),
  }),
]);
export type LayoutSettings = z.infer<typeof layoutSchema>;

// Strict: a misspelt setting must not quietly mean a default when the program writes to disks.
const configSchema = z
  .strictObject({
    version: z.literal(1),
    environment: z.string().min(1),
    medium: mediumSchema,
    layout: layoutSchema,
    encryption: encryptionSchema,
    volumes: z
      .strictObject({
        storageClass: z.string().min(1),
        /** `declared`: the PersistentVolumes are somebody else's; `agent`: the agent makes and removes them. */
        owner: z.enum(["declared", "agent"]),
        /** Label of the PersistentVolumes that the agent makes; null where it makes none. */
        pool: z.string().min(1).max(63).nullable(),
        /** How long a released volume is left as it is before it is wiped. */
        wipeDelaySeconds: secondsSchema,
      })
      .nullable(),
    vanishedNodes: z.strictObject({
      /** How long a node has to be absent before its PersistentVolumes are removed. */
      graceSeconds: secondsSchema,
      /** Whether claims that are bound to them go too; a pod that uses one waits for ever otherwise. */
      claims: z.enum(["keep", "delete"]),
    }),
  })
  .superRefine((config, context) => {
    const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
    if (config.layout.kind === "volume-group") {
      if (config.medium.kind !== "devices") refuse(["medium", "kind"], "must be devices for a volume group");
      if (config.volumes)
        refuse(["volumes"], "must be null for a volume group: its CSI driver makes volumes");
    } else {
      if (!config.volumes) refuse(["volumes"], "must say whose the volumes are");
      if (config.layout.filesystem === "xfs" && config.layout.inodes !== null) {
        refuse(["layout", "inodes"], "must be null for xfs, which makes inodes as it needs them");
      }
    }
    if (config.volumes?.owner === "agent" && config.volumes.pool === null) {
      refuse(["volumes", "pool"], "must name the pool whose volumes the agent makes");
    }
  });

export type NodeAgentConfig = z.infer<typeof configSchema>;

/** Settings that the node agent refuses: all that is wrong with them. */
export class InvalidNodeAgentConfigError extends Error {
  override readonly name = "InvalidNodeAgentConfigError";
}

/** Reads settings of version 1. Throws {@link InvalidNodeAgentConfigError} with all problems at once. */
export function parseNodeAgentConfig(value: unknown): NodeAgentConfig {
  return readDocument(value, {
    schema: configSchema,
    name: "the node agent's settings",
    verb: "are",
    Invalid: InvalidNodeAgentConfigError,
  });
}
