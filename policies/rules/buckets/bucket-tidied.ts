import { bucketsOf, partsOf } from "../../buckets";
import type { StackRule } from "../../model";
import { at, entries, isSet, objects } from "../../model";

export const bucketTidied: StackRule = {
  name: "bucket-tidied",
  subject: "buckets",
  description:
    "Unfinished uploads and old versions go away by themselves: both are paid for and shown in no listing.",
  level: "mandatory",
  severity: "medium",
  limits: ["maximumAbortDays"],
  subjectsOf: bucketsOf,
  checkStack: (stack, { maximumAbortDays }) =>
    bucketsOf(stack).flatMap((bucket) => {
      const parts = partsOf(stack, bucket, "lifecycle");
      if (parts.length === 0) {
        return [{ urn: bucket.urn, message: "it has no lifecycle; declare a BucketLifecycleConfiguration" }];
      }
      const rules = parts
        .flatMap(({ props }) => objects(props["rules"]))
        .filter(({ status }) => status === "Enabled");
      const urn = parts[0]!.urn;
      const aborts = rules.some((rule) => {
        const days = at(rule, "abortIncompleteMultipartUpload", "daysAfterInitiation");
        return typeof days === "number" && days <= maximumAbortDays && coversAll(rule);
      });
      const expires = rules.some(
        (rule) => isSet(at(rule, "noncurrentVersionExpiration", "noncurrentDays")) && coversAll(rule),
      );
      return [
        ...(aborts
          ? []
          : [
              {
                urn,
                message: `no rule for the whole bucket aborts unfinished uploads within ${maximumAbortDays} days; set abortIncompleteMultipartUpload`,
              },
            ]),
        ...(expires
          ? []
          : [
              {
                urn,
                message: "no rule for the whole bucket ends old versions; set noncurrentVersionExpiration",
              },
            ]),
      ];
    }),
};

function coversAll(rule: Record<string, unknown>): boolean {
  return !isSet(rule["prefix"]) && !entries(rule["filter"]).some(([, narrowing]) => isSet(narrowing));
}
