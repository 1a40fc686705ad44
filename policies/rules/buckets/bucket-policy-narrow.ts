import { addressRange, isEverywhere } from "../../addresses";
import { bucketsOf, partsOf } from "../../buckets";
import type { StackRule } from "../../model";
import { UNKNOWN } from "../../model";
import { isAboutAction, isNarrowedBy, statementsOf } from "../../statements";
import type { Statement } from "../../statements";

/** Keys that say who asks, or whence (Amazon S3 user guide, "The meaning of public"); others say how. */
const SAYS_WHO =
  /^(?:aws:(?:principal(?:arn|account|orgid|orgpaths)|source(?:arn|account|owner|orgid|orgpaths|vpc|vpce)|vpce(?:account|orgid|orgpaths)|userid)|s3:dataaccesspoint(?:arn|account))$/;

export const bucketPolicyNarrow: StackRule = {
  name: "bucket-policy-narrow",
  subject: "buckets",
  description:
    "A bucket's policy allows nothing to everybody, and nothing that it denies keeps its owner from changing it.",
  level: "mandatory",
  severity: "critical",
  subjectsOf: bucketsOf,
  checkStack: (stack) =>
    bucketsOf(stack).flatMap((bucket) =>
      partsOf(stack, bucket, "policy").flatMap(({ urn, props }) => {
        if (props["policy"] === UNKNOWN) return [];
        const statements = statementsOf(props["policy"]);
        if (!statements) return [{ urn, message: "its policy is no JSON document; write one" }];
        return statements
          .filter(({ everybody }) => everybody)
          .flatMap((statement) => problemsOf(statement).map((problem) => `${statement.where} ${problem}`))
          .map((message) => ({ urn, message }));
      }),
    ),
};

function problemsOf(statement: Statement): string[] {
  if (statement.effect === "Allow") {
    return isNarrowedBy(statement, SAYS_WHO) || isFromSomewhere(statement)
      ? []
      : ["allows everybody; name the principals, or who they are in a condition"];
  }
  return locksOut(statement)
    ? ["denies everybody, the owner too, to change the policy; add a condition"]
    : [];
}

function isFromSomewhere({ conditions }: Statement): boolean {
  const isSome = (value: unknown): boolean => {
    if (value === UNKNOWN) return true;
    const range = addressRange(value as string);
    return range !== undefined && !isEverywhere(range);
  };
  return conditions.some(
    ({ operator, key, values }) => operator === "IpAddress" && key === "aws:sourceip" && values.every(isSome),
  );
}

function locksOut(statement: Statement): boolean {
  return (
    statement.conditions.length === 0 &&
    isAboutAction(statement, "s3:PutBucketPolicy") &&
    // What is for objects alone has a slash after the bucket's name.
    statement.resources.some((resource) => !resource.includes("/"))
  );
}
