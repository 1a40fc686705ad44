import { LAST_ID, USERS_OF_AN_ID } from "../../components/lib/security-context.js";
import { integer, list, mapOf, oneOf, optional, record, size, variants, withDefault } from "../checks.js";
import type { Checked } from "../checks.js";
import {
  devicePattern,
  image,
  LABEL_KEY,
  labelValue,
  nodeName,
  objectName,
  path,
  poolName,
} from "./patterns.js";

const GIBIBYTE = 2n ** 30n;
const filesystem = withDefault(oneOf("ext4", "xfs"), "ext4");

/** A disk of a node: its size, where the sum of its slots is to be checked against it. */
const disk = optional(size(GIBIBYTE));

export const nodes = list(
  record({
    name: nodeName,
    id: integer(0, LAST_ID),
    slots: integer(1, USERS_OF_AN_ID),
    directory: path,
    disk,
  }),
);

export const pools = list(
  record({
    name: poolName,
    id: integer(0, LAST_ID),
    slots: integer(1, (LAST_ID + 1) * USERS_OF_AN_ID),
    slotsPerNode: integer(1, USERS_OF_AN_ID),
    nodeSelector: mapOf((key) => LABEL_KEY.test(key), "label keys", labelValue),
    disk,
  }),
);

/** The node agent: makes slots of raw devices, wipes released ones and offers them again. */
const preparation = {
  image,
  encryption: withDefault(oneOf("luks", "medium"), "luks"),
  filesystem,
};

/** What an instance store's disks are called on EC2. */
const INSTANCE_STORE = ["/dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_*"];

/** How the slots come to be. `static` has `nodes`, the other modes have `pools`. */
export const storage = variants("mode", {
  static: record({
    mode: oneOf("static"),
    diskReserve: withDefault(size(0n), 10n * GIBIBYTE),
    /** Null where somebody else makes and mounts the slots. */
    preparation: optional(record({ ...preparation, devices: list(devicePattern, 1) })),
  }),
  topolvm: record({
    mode: oneOf("topolvm"),
    diskReserve: withDefault(size(0n), 10n * GIBIBYTE),
    deviceClass: withDefault(objectName, "ssd"),
    filesystem,
  }),
  "openebs-lvm": record({
    mode: oneOf("openebs-lvm"),
    diskReserve: withDefault(size(0n), 10n * GIBIBYTE),
    volumeGroup: withDefault(objectName, "video-jobs"),
    filesystem,
  }),
  "cloud-instance-store": record({
    mode: oneOf("cloud-instance-store"),
    diskReserve: withDefault(size(0n), 10n * GIBIBYTE),
    directory: withDefault(path, "/mnt/video-jobs"),
    preparation: record({
      ...preparation,
      // EC2 encrypts its instance stores itself, with a key that ends with the instance.
      encryption: withDefault(oneOf("luks", "medium"), "medium"),
      devices: withDefault(list(devicePattern, 1), INSTANCE_STORE),
    }),
  }),
});

type Value<C> = C extends (...args: never[]) => (infer T) | undefined ? NonNullable<T> : never;
export type StorageConfig = Value<typeof storage>;
export type NodeConfig = Value<typeof nodes>[number];
export type PoolConfig = Value<typeof pools>[number];
export type PreparationConfig = Checked<typeof preparation> & { readonly devices: readonly string[] };
