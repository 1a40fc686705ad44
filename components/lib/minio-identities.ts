import { strToU8, zipSync } from "fflate";

import type { BucketRole } from "./bucket-policies.js";

/** Of all archives, so that what is in one says alone whether it is another. */
const MODIFIED = new Date(1980, 0, 2);

/**
 * The archive, in base 64, that `mc admin cluster iam import` takes: a user for each role, with its key and its policy
 * and no other. All at once, because each `mc` call about users derives a key from 64 MiB of memory, and so does the
 * server: the three calls for each tenant take a second of a processor.
 */
export function minioIdentities(
  roles: readonly Pick<BucketRole, "name" | "policy">[],
  secretKeys: Readonly<Record<string, string>>,
): string {
  const forEach = (of: (role: Pick<BucketRole, "name" | "policy">) => unknown): Uint8Array =>
    strToU8(JSON.stringify(Object.fromEntries(roles.map((role) => [role.name, of(role)]))));
  const files = {
    "iam-assets/policies.json": forEach(({ policy }) => policy),
    "iam-assets/users.json": forEach(({ name }) => ({ secretKey: secretKeys[name], status: "enabled" })),
    "iam-assets/user_mappings.json": forEach(({ name }) => ({ version: 1, policy: name })),
  };
  return Buffer.from(zipSync(files, { mtime: MODIFIED })).toString("base64");
}
