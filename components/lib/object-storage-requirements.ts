import type { ObjectStorageCapability } from "@video-storage/contract/object-storage-capabilities";

/** Without these nothing of ours works, or nothing of it is safe; the rest is done by other means where it is missing. */
export const REQUIRED_OF_ANY_ENDPOINT: readonly ObjectStorageCapability[] = [
  "tls-only",
  "no-public-access",
  "multipart",
];
