import { bucketsOf, partsOf } from "../../buckets";
import type { StackRule } from "../../model";
import { at, is, isSet, objects, shown } from "../../model";

/** The key that AWS makes for S3 in every account. */
const ACCOUNT_KEY = /(?:^|:)alias\/aws\//;

export const bucketEncrypted: StackRule = {
  name: "bucket-encrypted",
  subject: "buckets",
  description:
    "Buckets encrypt with a key of ours, through a bucket key where there is one: who may read the bucket but not use the key reads nothing.",
  level: "mandatory",
  severity: "critical",
  subjectsOf: bucketsOf,
  checkStack: (stack) =>
    bucketsOf(stack).flatMap((bucket) => {
      const parts = partsOf(stack, bucket, "encryption");
      if (parts.length === 0) {
        const message =
          "nothing says how it encrypts; declare a BucketServerSideEncryptionConfiguration with aws:kms";
        return [{ urn: bucket.urn, message }];
      }
      return parts.flatMap(({ urn, props }) =>
        objects(props["rules"]).flatMap((rule) => {
          const given = at(rule, "applyServerSideEncryptionByDefault");
          const algorithm = at(given, "sseAlgorithm");
          const keyId = at(given, "kmsMasterKeyId");
          const messages: string[] = [];
          if (!is(algorithm, "aws:kms", "aws:kms:dsse")) {
            messages.push(`sseAlgorithm is ${shown(algorithm)}; set aws:kms`);
          } else if (!isSet(keyId) || ACCOUNT_KEY.test(String(keyId))) {
            messages.push(
              "it uses the account's key, which every role of the account may use; set kmsMasterKeyId",
            );
          }
          // Only these have bucket keys: S3 takes none for aws:kms:dsse.
          if (algorithm === "aws:kms" && !is(at(rule, "bucketKeyEnabled"), true)) {
            messages.push("every object asks the key service; set bucketKeyEnabled: true");
          }
          return messages.map((message) => ({ urn, message }));
        }),
      );
    }),
};
