import { at, objects, shown, texts, UNKNOWN } from "../../model";
import type { ResourceRule, ResourceView } from "../../model";
import { isNarrowedBy, statementsOf } from "../../statements";
import type { Statement } from "../../statements";

const ROLE = "aws:iam/role:Role";
const WITH_A_DOCUMENT = [
  "aws:iam/policy:Policy",
  "aws:iam/rolePolicy:RolePolicy",
  "aws:iam/userPolicy:UserPolicy",
  "aws:iam/groupPolicy:GroupPolicy",
];
const ATTACHMENTS = [
  "aws:iam/policyAttachment:PolicyAttachment",
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  "aws:iam/userPolicyAttachment:UserPolicyAttachment",
  "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
];
/** Actions that AWS lets nobody narrow to a resource (service authorization reference). */
const WITHOUT_RESOURCE =
  /^(?:s3:ListAllMyBuckets|ec2:Describe\w+|ec2:(?:Create|Delete)NetworkInterface|xray:Put\w+|sts:GetCallerIdentity|cloudwatch:PutMetricData)$/;
/** Keys that say which resources are meant; others say who asks, how or when. */
const SAYS_WHICH = new RegExp(
  `^(?:${[
    "[a-z0-9-]+:resourcetag/.+",
    "aws:(?:requesttag/.+|resource(?:account|orgid|orgpaths))",
    "s3:(?:prefix|resourceaccount|dataaccesspoint(?:account|arn)|existingobjecttag/.+)",
    "kms:(?:encryptioncontext:.+|resourcealiases|requestalias)",
    "elasticfilesystem:accesspointarn",
  ].join("|")})$`,
);
/** Policies that AWS itself writes, and that allow everything of something. */
const ADMINISTRATORS = /^arn:[^:]*:iam::aws:policy\/.*(?:Administrator|PowerUser|FullAccess)/;

export const cloudRightsLeast: ResourceRule = {
  name: "cloud-rights-least",
  subject: "access",
  description:
    "A role in the cloud names each of its actions, without *, and the resources they are for, and has no policy of AWS's own that allows everything.",
  level: "mandatory",
  severity: "critical",
  appliesTo: ({ type }) => [ROLE, ...WITH_A_DOCUMENT, ...ATTACHMENTS].includes(type),
  check: (resource) => [
    ...attachedTo(resource)
      .filter((arn) => ADMINISTRATORS.test(arn))
      .map((arn) => `it has ${arn}, which allows everything of it; write a policy with what is used`),
    ...documentsOf(resource).flatMap(({ name, document }) =>
      problemsOf(document).map((problem) => `${name}${problem}`),
    ),
  ],
};

function attachedTo({ type, props }: ResourceView): string[] {
  if (ATTACHMENTS.includes(type)) return texts(props["policyArn"]);
  return type === ROLE ? texts(props["managedPolicyArns"]) : [];
}

/** The documents that a resource has, with what a message calls each. */
function documentsOf({ type, props }: ResourceView): { name: string; document: unknown }[] {
  if (WITH_A_DOCUMENT.includes(type)) return [{ name: "", document: props["policy"] }];
  return objects(type === ROLE ? props["inlinePolicies"] : [])
    .filter((inline) => at(inline, "policy") !== undefined)
    .map((inline) => ({ name: `inline policy ${shown(inline["name"])}: `, document: inline["policy"] }));
}

function problemsOf(document: unknown): string[] {
  if (document === UNKNOWN) return [];
  const statements = statementsOf(document);
  if (!statements) return ["its policy is no JSON document; write one"];
  return statements
    .filter(({ effect }) => effect === "Allow")
    .flatMap((statement) => {
      const { where, actions, resources } = statement;
      const wide = actions.filter((action) => /[*?]/.test(action));
      const unbounded = isNarrow(statement) ? [] : resources.filter(isOpen);
      return [
        ...(wide.length > 0 ? [`${where} allows ${wide.join(", ")}; list the actions that are used`] : []),
        ...(unbounded.length > 0
          ? [`${where} is for every resource, by ${unbounded.join(", ")}; name the prefix, bucket or key`]
          : []),
      ];
    });
}

function isNarrow(statement: Statement): boolean {
  return (
    statement.actions.every((action) => WITHOUT_RESOURCE.test(action)) || isNarrowedBy(statement, SAYS_WHICH)
  );
}

/** Whether an ARN leaves the resource's own name open. */
function isOpen(resource: string): boolean {
  const [, , service = resource, , , ...rest] = resource.split(":");
  const path = rest.join(":");
  // The names of buckets are the whole world's, so a part of one is strangers' too.
  if (service === "s3") return /^[^/]*[*?]/.test(path);
  // Elsewhere the kind comes first, as in key/ID, secret:NAME or log-group:NAME; of an API its own name does.
  const name = service === "execute-api" ? path : path.replace(/^[\w-]+[/:]/, "");
  return /[*?]/.test(service) || /^[*?]/.test(name);
}
