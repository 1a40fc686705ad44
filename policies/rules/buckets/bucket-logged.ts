import { bucketNames, bucketsOf, partsOf } from "../../buckets";
import type { ResourceView, StackRule } from "../../model";

export const bucketLogged: StackRule = {
  name: "bucket-logged",
  subject: "buckets",
  description: "Who read what is written down, in another bucket than the one that is read.",
  // Not every team keeps a bucket for logs, and CloudTrail's data events tell the same.
  level: "advisory",
  severity: "low",
  subjectsOf: bucketsOf,
  checkStack: (stack) => {
    const everyLogging = stack.ofType(
      "aws:s3/bucketLogging:BucketLogging",
      "aws:s3/bucketLoggingV2:BucketLoggingV2",
    );
    return bucketsOf(stack).flatMap((bucket) => {
      const parts = partsOf(stack, bucket, "logging");
      // The logs of a bucket of logs would be logged in turn.
      if (parts.length === 0 && !everyLogging.some((logging) => isInto(bucket, logging))) {
        return [{ urn: bucket.urn, message: "its requests are not logged; declare a BucketLogging" }];
      }
      return parts
        .filter((logging) => isInto(bucket, logging))
        .map(({ urn }) => ({
          urn,
          message: "it logs into itself, and each log is logged; name another bucket",
        }));
    });
  },
};

function isInto(bucket: ResourceView, { props, uses }: ResourceView): boolean {
  const targets = [props["targetBucket"], ...(uses?.["targetBucket"] ?? [])];
  return [bucket.urn, ...bucketNames(bucket)].some((name) => targets.includes(name));
}
