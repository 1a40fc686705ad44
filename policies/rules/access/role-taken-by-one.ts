import { statementsOf } from "../../buckets";
import type { ResourceRule } from "../../model";
import { at, entries, UNKNOWN } from "../../model";

export const roleTakenByOne: ResourceRule = {
  name: "role-taken-by-one",
  subject: "access",
  description: "A role in the cloud can be taken by the ServiceAccount that it is for and by no other.",
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
      .flatMap(({ actions, everybody, conditions }, index) => {
        const where = `statement ${index + 1}`;
        if (everybody) return [`${where} lets everybody take it; name the principal`];
        if (!actions.includes("sts:AssumeRoleWithWebIdentity")) return [];
        const equal = entries(at(conditions, "StringEquals"));
        const bound = (claim: string) =>
          equal.some(([key, value]) => key.endsWith(`:${claim}`) && !String(value).includes("*"));
        const missing = ["sub", "aud"].filter((claim) => !bound(claim));
        return missing.length === 0
          ? []
          : [
              `${where} lets every ServiceAccount of the cluster take it; bind ${missing.join(" and ")} with StringEquals`,
            ];
      });
  },
};
