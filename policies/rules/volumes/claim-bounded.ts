import { declaredClaims } from "../../claims";
import { bytesOf } from "../../limits";
import type { Limits } from "../../limits";
import type { ResourceRule } from "../../model";
import { at, isSet, shown, texts, UNKNOWN } from "../../model";

const LOCAL_MODES = ["ReadWriteOnce", "ReadWriteOncePod"];

export const claimBounded: ResourceRule = {
  name: "claim-bounded",
  subject: "volumes",
  description:
    "A claim says how much it wants, of which class, and for one node: no claim takes what others count on.",
  level: "mandatory",
  severity: "high",
  limits: ["minimumClaim", "maximumClaim"],
  appliesTo: (resource) => declaredClaims(resource).length > 0,
  check: (resource, limits) =>
    declaredClaims(resource).flatMap(({ prefix, spec }) =>
      problemsOf(spec, limits).map((problem) => `${prefix}${problem}`),
    ),
};

function problemsOf(spec: unknown, { minimumClaim, maximumClaim }: Limits): string[] {
  const problems: string[] = [];
  const asked = at(spec, "resources", "requests", "storage");
  const bytes = bytesOf(asked);
  if (!isSet(asked)) {
    problems.push("the claim asks for no size; set spec.resources.requests.storage");
  } else if (asked !== UNKNOWN && bytes === undefined) {
    problems.push(`the claim asks for ${shown(asked)}, which is no size; write it like 400Gi`);
  } else if (bytes !== undefined && (bytes < bytesOf(minimumClaim)! || bytes > bytesOf(maximumClaim)!)) {
    problems.push(`the claim asks for ${shown(asked)}; allowed is ${minimumClaim} to ${maximumClaim}`);
  }
  if (!isSet(at(spec, "storageClassName"))) {
    problems.push("the claim takes whatever class is the default; set spec.storageClassName");
  }
  const modes = at(spec, "accessModes");
  const known = texts(modes);
  if (modes !== UNKNOWN && (known.length === 0 || known.some((mode) => !LOCAL_MODES.includes(mode)))) {
    problems.push(`the access modes are [${known.join(", ")}]; use ReadWriteOnce, a local disk has one node`);
  }
  return problems;
}
