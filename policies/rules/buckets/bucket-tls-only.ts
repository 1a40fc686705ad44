import { bucketsOf, partsOf, statementsOf } from "../../buckets";
import type { Statement } from "../../buckets";
import type { StackRule } from "../../model";
import { at, UNKNOWN } from "../../model";

export const bucketTlsOnly: StackRule = {
  name: "bucket-tls-only",
  subject: "buckets",
  description: "A bucket and its objects refuse every request that doesn't come over TLS.",
  level: "mandatory",
  severity: "critical",
  subjectsOf: bucketsOf,
  checkStack: (stack) =>
    bucketsOf(stack).flatMap((bucket) => {
      const documents = partsOf(stack, bucket, "policy").map(({ props }) => props["policy"]);
      if (documents.includes(UNKNOWN)) return [];
      const denies = documents.flatMap((document) => statementsOf(document) ?? []).some(deniesPlainHttp);
      const message =
        "no statement of its policy denies s3:* to * on the bucket and its objects while aws:SecureTransport is false; add one";
      return denies ? [] : [{ urn: bucket.urn, message }];
    }),
};

function deniesPlainHttp({ effect, actions, resources, everybody, conditions }: Statement): boolean {
  return (
    effect === "Deny" &&
    everybody &&
    actions.some((action) => ["s3:*", "*"].includes(action)) &&
    String(at(conditions, "Bool", "aws:SecureTransport")) === "false" &&
    // A further condition would leave a way around.
    Object.keys(conditions).length === 1 &&
    (resources.includes("*") ||
      (resources.some((arn) => arn.endsWith("/*")) && resources.some((arn) => !arn.endsWith("/*"))))
  );
}
