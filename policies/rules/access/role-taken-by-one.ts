import type { ResourceRule } from "../../model";
import { UNKNOWN } from "../../model";
import { isAboutAction, isNarrowedBy, statementsOf } from "../../statements";
import type { Statement } from "../../statements";

const WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity";
/** An account as a principal is whoever that account lets take roles. */
const WHOLE_ACCOUNT = /^(?:arn:[^:]*:iam::[^:]*:root|\d{12})$/;

export const roleTakenByOne: ResourceRule = {
  name: "role-taken-by-one",
  subject: "access",
  description:
    "A role in the cloud is taken by one ServiceAccount, or by a role or service that is named: not by everybody, a whole account or a whole cluster.",
  level: "mandatory",
  severity: "critical",
  appliesTo: ({ type }) => type === "aws:iam/role:Role",
  check({ props }) {
    const document = props["assumeRolePolicy"];
    if (document === UNKNOWN) return [];
    const statements = statementsOf(document);
    if (!statements) return ["its assumeRolePolicy is no JSON document; write one"];
    return statements
      .filter(({ effect }) => effect === "Allow")
      .flatMap((statement) => {
        const { everybody, federated } = statement;
        const messages = everybody
          ? ["lets everybody take it; name the principal"]
          : [...wholeAccounts(statement), ...(federated ? anyServiceAccounts(statement) : [])];
        return messages.map((message) => `${statement.where} ${message}`);
      });
  },
};

function wholeAccounts(statement: Statement): string[] {
  if (isNarrowedBy(statement, /^aws:principalarn$/)) return [];
  return statement.principals
    .filter((principal) => WHOLE_ACCOUNT.test(principal))
    .map((principal) => `lets everybody in the account ${principal} take it; name the role`);
}

function anyServiceAccounts(statement: Statement): string[] {
  if (!isAboutAction(statement, WEB_IDENTITY)) return [];
  const bound = (claim: string): readonly unknown[] =>
    statement.conditions
      .filter(({ operator, key }) => operator === "StringEquals" && key.endsWith(`:${claim}`))
      .flatMap(({ values }) => values);
  const isOpen = (values: readonly unknown[]): boolean =>
    values.length === 0 || values.some((value) => value !== UNKNOWN && (value as string).includes("*"));
  const missing = ["sub", "aud"].filter((claim) => isOpen(bound(claim)));
  if (missing.length > 0)
    return [
      `lets every ServiceAccount of the cluster take it; bind ${missing.join(" and ")} with StringEquals`,
    ];
  const accounts = bound("sub");
  return accounts.length > 1
    ? [
        `lets ${accounts.length} ServiceAccounts take it (${accounts.map(String).join(", ")}); bind sub to one`,
      ]
    : [];
}
