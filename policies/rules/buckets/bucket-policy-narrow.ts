import { bucketsOf, partsOf, statementsOf } from "../../buckets";
import type { StackRule } from "../../model";
import { UNKNOWN } from "../../model";

export const bucketPolicyNarrow: StackRule = {
  name: "bucket-policy-narrow",
  subject: "buckets",
  description: "A bucket's policy allows nobody in particular nothing, and locks nobody out for ever.",
  level: "mandatory",
  severity: "critical",
  subjectsOf: bucketsOf,
  checkStack: (stack) =>
    bucketsOf(stack).flatMap((bucket) =>
      partsOf(stack, bucket, "policy").flatMap(({ urn, props }) => {
        if (props["policy"] === UNKNOWN) return [];
        const statements = statementsOf(props["policy"]);
        if (!statements) return [{ urn, message: "its policy is no JSON document; write one" }];
        return statements.flatMap((statement, index) => {
          const conditioned = Object.keys(statement.conditions).length > 0;
          if (!statement.everybody || conditioned) return [];
          const where = `statement ${index + 1}`;
          return statement.effect === "Allow"
            ? [{ urn, message: `${where} allows everybody; name the principals` }]
            : statement.actions.some((action) => ["s3:*", "*"].includes(action))
              ? [{ urn, message: `${where} denies everything to everybody, its owner too; add a condition` }]
              : [];
        });
      }),
    ),
};
