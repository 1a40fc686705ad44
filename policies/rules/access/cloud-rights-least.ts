import { statementsOf } from "../../buckets";
import type { ResourceRule } from "../../model";
import { UNKNOWN } from "../../model";

/** Where each type has its document. */
const DOCUMENTS: Readonly<Record<string, string>> = {
  "aws:iam/policy:Policy": "policy",
  "aws:iam/rolePolicy:RolePolicy": "policy",
  "aws:iam/userPolicy:UserPolicy": "policy",
  "aws:iam/groupPolicy:GroupPolicy": "policy",
};
/** Actions that AWS lets nobody narrow to a resource (service authorization reference). */
const WITHOUT_RESOURCE =
  /^(?:s3:ListAllMyBuckets|ec2:Describe\w+|ec2:(?:Create|Delete)NetworkInterface|xray:Put\w+|sts:GetCallerIdentity|cloudwatch:PutMetricData)$/;

export const cloudRightsLeast: ResourceRule = {
  name: "cloud-rights-least",
  subject: "access",
  description: "A role in the cloud names its actions and the resources they are for.",
  level: "mandatory",
  severity: "critical",
  appliesTo: ({ type }) => type in DOCUMENTS,
  check({ type, props }) {
    const document = props[DOCUMENTS[type]!];
    if (document === UNKNOWN) return [];
    const statements = statementsOf(document);
    if (!statements) return ["its policy is no JSON document; write one"];
    return statements
      .map((statement, index) => ({ statement, where: `statement ${index + 1}` }))
      .filter(({ statement }) => statement.effect === "Allow")
      .flatMap(({ statement: { actions, resources, conditions }, where }) => {
        const wide = actions.filter((action) => action === "*" || /^[\w-]+:\*$/.test(action));
        const unbounded =
          resources.includes("*") &&
          Object.keys(conditions).length === 0 &&
          actions.some((action) => !WITHOUT_RESOURCE.test(action));
        return [
          ...(wide.length > 0 ? [`${where} allows ${wide.join(", ")}; list the actions that are used`] : []),
          ...(unbounded ? [`${where} is for every resource; name the prefix, bucket or key`] : []),
        ];
      });
  },
};
