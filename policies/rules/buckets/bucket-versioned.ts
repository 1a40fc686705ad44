import { bucketsOf, partsOf } from "../../buckets";
import type { StackRule } from "../../model";
import { at, is, shown } from "../../model";

export const bucketVersioned: StackRule = {
  name: "bucket-versioned",
  subject: "buckets",
  description: "Buckets keep what was overwritten or deleted, so that a mistake can be undone.",
  level: "mandatory",
  severity: "high",
  subjectsOf: bucketsOf,
  checkStack: (stack) =>
    bucketsOf(stack).flatMap((bucket) => {
      const parts = partsOf(stack, bucket, "versioning");
      if (parts.length === 0) {
        return [{ urn: bucket.urn, message: "nothing turns versioning on; declare a BucketVersioning" }];
      }
      return parts.flatMap(({ urn, props }) => {
        const status = at(props, "versioningConfiguration", "status");
        return is(status, "Enabled") ? [] : [{ urn, message: `versioning is ${shown(status)}; set Enabled` }];
      });
    }),
};
