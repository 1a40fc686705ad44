import type { StackRule } from "../../model";
import { at, is, isSet, nameOf, namespaceOf, objects, shown } from "../../model";
import { WORKLOAD_KINDS, podTemplateOf } from "../../workloads";

export const tokenOnPurpose: StackRule = {
  name: "token-on-purpose",
  subject: "access",
  description:
    "Pods run as a ServiceAccount of their own, and hold its token only where the stack gives that account a right.",
  level: "mandatory",
  severity: "high",
  subjectsOf: (stack) => stack.ofKind(...WORKLOAD_KINDS),
  checkStack(stack) {
    const bound = new Set(
      stack.ofKind("RoleBinding", "ClusterRoleBinding").flatMap((binding) =>
        objects(binding.props["subjects"])
          .filter(({ kind }) => kind === "ServiceAccount")
          .map(
            (subject) => `${String(subject["namespace"] ?? namespaceOf(binding))}/${String(subject["name"])}`,
          ),
      ),
    );
    const accounts = new Map(
      stack
        .ofKind("ServiceAccount")
        .map((account) => [`${namespaceOf(account)}/${nameOf(account)}`, account]),
    );
    return stack.ofKind(...WORKLOAD_KINDS).flatMap((resource) => {
      const { spec } = podTemplateOf(resource);
      const account = spec["serviceAccountName"];
      const key = `${namespaceOf(resource)}/${String(account)}`;
      const findings: string[] = [];
      if (!isSet(account) || account === "default") {
        findings.push(`serviceAccountName is ${shown(account)}; name an account made for this`);
      }
      // What the pod doesn't say, its account says for it.
      const mounted =
        at(spec, "automountServiceAccountToken") ??
        at(accounts.get(key)?.props, "automountServiceAccountToken") ??
        "on by default";
      if (!is(mounted, false) && !bound.has(key)) {
        findings.push(
          `automountServiceAccountToken is ${shown(mounted)}, and nothing in the stack gives ${key} a right; set it to false`,
        );
      }
      return findings.map((message) => ({ urn: resource.urn, message }));
    });
  },
};
