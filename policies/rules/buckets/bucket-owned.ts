import { bucketsOf, partsOf } from "../../buckets";
import type { StackRule } from "../../model";
import { at, is, shown } from "../../model";

export const bucketOwned: StackRule = {
  name: "bucket-owned",
  subject: "buckets",
  description:
    "The bucket's owner owns every object in it, and access lists, which nobody reads any more, mean nothing.",
  level: "mandatory",
  severity: "high",
  subjectsOf: bucketsOf,
  checkStack: (stack) =>
    bucketsOf(stack).flatMap((bucket) => {
      const parts = partsOf(stack, bucket, "ownership");
      if (parts.length === 0) {
        return [
          { urn: bucket.urn, message: "nothing says who owns its objects; declare BucketOwnershipControls" },
        ];
      }
      return parts.flatMap(({ urn, props }) => {
        const ownership = at(props, "rule", "objectOwnership");
        return is(ownership, "BucketOwnerEnforced")
          ? []
          : [{ urn, message: `objectOwnership is ${shown(ownership)}; set BucketOwnerEnforced` }];
      });
    }),
};
