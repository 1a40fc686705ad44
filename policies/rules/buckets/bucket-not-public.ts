import { bucketsOf, partsOf } from "../../buckets";
import type { StackRule } from "../../model";
import { is } from "../../model";

const FLAGS = ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"];

export const bucketNotPublic: StackRule = {
  name: "bucket-not-public",
  subject: "buckets",
  description: "All public access to a bucket is blocked, in all four ways there are.",
  level: "mandatory",
  severity: "critical",
  subjectsOf: bucketsOf,
  checkStack: (stack) =>
    bucketsOf(stack).flatMap((bucket) => {
      const parts = partsOf(stack, bucket, "publicAccess");
      if (parts.length === 0) {
        return [
          { urn: bucket.urn, message: "nothing blocks public access; declare a BucketPublicAccessBlock" },
        ];
      }
      return parts.flatMap(({ urn, props }) => {
        const open = FLAGS.filter((flag) => !is(props[flag], true));
        return open.length === 0 ? [] : [{ urn, message: `${open.join(", ")} are not true; set them` }];
      });
    }),
};
