import fc from "fast-check";
import type { JobId, TenantId } from "@video-storage/contract/identity";

/** Near-misses as well as noise: letters that ids have, separators, dots, controls, other scripts. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: fc.constantFrom(..."ab09-./\\_A \n\0é"), maxLength: 45 }),
  fc
    .uuid({ version: 7 })
    .chain((id) => fc.constantFrom(id, `${id}/`, `../${id}`, `${id}\n`, id.toUpperCase())),
);

const letter = fc.constantFrom(..."abcxyz019");
export const tenantIds: fc.Arbitrary<TenantId> = fc
  .tuple(letter, fc.string({ unit: fc.constantFrom(..."ab01--"), maxLength: 38 }), letter)
  .map(([first, middle, last]) => `${first}${middle}${last}` as TenantId);

export const jobIds: fc.Arbitrary<JobId> = fc.uuid({ version: 7 }).map((id) => id as JobId);
