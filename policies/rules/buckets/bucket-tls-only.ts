import { bucketNames, bucketsOf, partsOf } from "../../buckets";
import type { ResourceView, StackRule } from "../../model";
import { isKnown } from "../../model";
import { covers, isAboutAction, statementsOf } from "../../statements";
import type { Statement } from "../../statements";

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
      if (!isKnown(documents)) return [];
      const closed = documents
        .flatMap((document) => statementsOf(document) ?? [])
        .filter(deniesPlainHttp)
        .flatMap(({ resources }) => resources);
      const message =
        "no statement of its policy denies s3:* to * on the bucket and its objects while aws:SecureTransport is false; add one";
      return isWhole(bucket, closed) ? [] : [{ urn: bucket.urn, message }];
    }),
};

function deniesPlainHttp(statement: Statement): boolean {
  const { effect, everybody, conditions } = statement;
  const [{ operator, key, values } = { operator: "", key: "", values: [] }, ...further] = conditions;
  return (
    effect === "Deny" &&
    everybody &&
    isAboutAction(statement, "s3:*") &&
    /^Bool(?:IfExists)?$/.test(operator) &&
    key === "aws:securetransport" &&
    values.join() === "false" &&
    // It would leave a way around.
    further.length === 0
  );
}

/** Whether the resources are those of the bucket itself and of everything in it. */
function isWhole(bucket: ResourceView, resources: readonly string[]): boolean {
  const names = bucketNames(bucket);
  const arns =
    names.length > 0
      ? names.flatMap((name) =>
          ["aws", "aws-cn", "aws-us-gov"].map((partition) => `arn:${partition}:s3:::${name}`),
        )
      : // S3 takes no policy that is for another bucket.
        resources.filter((resource) => !resource.includes("/"));
  return arns.some((arn) =>
    [arn, `${arn}/*`].every((wanted) => resources.some((resource) => covers(resource, wanted))),
  );
}
