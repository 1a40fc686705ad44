import { bucketsOf, partsOf } from "../../buckets";
import type { StackRule } from "../../model";
import { at } from "../../model";

export const bucketLogged: StackRule = {
  name: "bucket-logged",
  subject: "buckets",
  description: "Who read what is written down, in another bucket than the one that is read.",
  // Not every team keeps a bucket for logs, and CloudTrail's data events tell the same.
  level: "advisory",
  severity: "low",
  subjectsOf: bucketsOf,
  checkStack: (stack) => {
    const targets = new Set(
      stack
        .ofType("aws:s3/bucketLogging:BucketLogging", "aws:s3/bucketLoggingV2:BucketLoggingV2")
        .flatMap(({ props, uses }) => [props["targetBucket"], ...(uses?.["targetBucket"] ?? [])]),
    );
    const isTarget = (bucket: { urn: string; props: Record<string, unknown> }) =>
      targets.has(bucket.urn) || targets.has(at(bucket.props, "bucket"));
    return bucketsOf(stack)
      .filter((bucket) => !isTarget(bucket))
      .flatMap((bucket) => {
        const parts = partsOf(stack, bucket, "logging");
        if (parts.length === 0) {
          return [{ urn: bucket.urn, message: "its requests are not logged; declare a BucketLogging" }];
        }
        return parts
          .filter(({ props, uses }) =>
            [props["targetBucket"], ...(uses?.["targetBucket"] ?? [])].some(
              (target) =>
                target === bucket.urn || (target !== undefined && target === bucket.props["bucket"]),
            ),
          )
          .map(({ urn }) => ({
            urn,
            message: "it logs into itself, and each log is logged; name another bucket",
          }));
      });
  },
};
