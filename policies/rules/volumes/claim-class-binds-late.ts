import { claimantsIn, declaredClaims } from "../../claims";
import type { StackRule } from "../../model";
import { at, is, nameOf, shown } from "../../model";

export const claimClassBindsLate: StackRule = {
  name: "claim-class-binds-late",
  subject: "volumes",
  description:
    "The class of a claim waits for the first consumer: one that binds at once may choose a node that the pod can't run on.",
  level: "mandatory",
  severity: "high",
  limits: ["allowedStorageClasses"],
  subjectsOf: claimantsIn,
  checkStack(stack, { allowedStorageClasses }) {
    const classes = new Map(stack.ofKind("StorageClass").map((resource) => [nameOf(resource), resource]));
    const claims = claimantsIn(stack)
      .flatMap(declaredClaims)
      .map(({ urn, prefix, spec }) => ({ urn, prefix, name: at(spec, "storageClassName") }));
    const used = new Set(claims.map(({ name }) => name));
    const late = [...classes]
      .filter(
        ([name, { props }]) => used.has(name) && !is(props["volumeBindingMode"], "WaitForFirstConsumer"),
      )
      .map(([, { urn, props }]) => ({
        urn,
        message: `volumeBindingMode is ${shown(props["volumeBindingMode"])} (without it: Immediate); set WaitForFirstConsumer`,
      }));
    if (allowedStorageClasses.length === 0) return late;
    const strange = claims
      .filter(({ name }) => typeof name === "string" && !classes.has(name))
      .filter(({ name }) => !allowedStorageClasses.includes(name as string))
      .map(({ urn, prefix, name }) => ({
        urn,
        message: `${prefix}the class ${String(name)} is neither the stack's nor allowed; allowed are ${allowedStorageClasses.join(", ")}`,
      }));
    return [...late, ...strange];
  },
};
