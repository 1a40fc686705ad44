import { claimantsIn, declaredClaims } from "../../claims";
import type { ClaimView } from "../../claims";
import { bytesOf } from "../../limits";
import type { Finding, ResourceView, StackRule } from "../../model";
import { at, namespaceOf } from "../../model";

const WANTED = ["requests.storage", "persistentvolumeclaims"];

export const claimNamespaceHasQuota: StackRule = {
  name: "claim-namespace-has-quota",
  subject: "volumes",
  description:
    "A namespace with claims has a quota on their bytes and number, and the claims fit: nobody claims a whole pool, and no claim of the stack is refused half-way.",
  level: "mandatory",
  severity: "high",
  subjectsOf: claimantsIn,
  checkStack(stack) {
    const quotas = stack.ofKind("ResourceQuota");
    const claimsIn = new Map<string, ClaimView[]>();
    for (const claim of claimantsIn(stack).flatMap(declaredClaims)) {
      claimsIn.set(claim.namespace, [...(claimsIn.get(claim.namespace) ?? []), claim]);
    }
    return [...claimsIn].flatMap(([namespace, claims]) => {
      const here = quotas.filter((quota) => namespaceOf(quota) === namespace);
      const limited = here.some((quota) =>
        WANTED.every((limit) => at(quota.props, "spec", "hard", limit) !== undefined),
      );
      if (!limited) {
        const message = `namespace ${namespace} has no ResourceQuota on ${WANTED.join(" and ")}; declare one`;
        return [...new Set(claims.map(({ urn }) => urn))].map((urn) => ({ urn, message }));
      }
      return here.flatMap((quota) => exceeded(quota, claims));
    });
  },
};

function exceeded(quota: ResourceView, claims: readonly ClaimView[]): Finding[] {
  const hard = (limit: string) => bytesOf(at(quota.props, "spec", "hard", limit));
  const total = claims.reduce(
    (sum, { spec, count }) =>
      sum + (bytesOf(at(spec, "resources", "requests", "storage")) ?? 0n) * BigInt(count),
    0n,
  );
  const number = claims.reduce((sum, { count }) => sum + count, 0);
  const [bytes, count] = [hard("requests.storage"), hard("persistentvolumeclaims")];
  const findings: Finding[] = [];
  if (bytes !== undefined && total > bytes) {
    const message = `the claims ask for ${total} bytes together and requests.storage allows ${bytes}; raise it or ask for less`;
    findings.push({ urn: quota.urn, message });
  }
  if (count !== undefined && BigInt(number) > count) {
    const message = `there are ${number} claims and persistentvolumeclaims allows ${count}; raise it or declare fewer`;
    findings.push({ urn: quota.urn, message });
  }
  return findings;
}
