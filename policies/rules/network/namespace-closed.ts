import type { ResourceView, StackRule } from "../../model";
import { at, entries, namespaceOf, texts } from "../../model";
import { selectsAll } from "../../selectors";
import { WORKLOAD_KINDS } from "../../workloads";

export const namespaceClosed: StackRule = {
  name: "namespace-closed",
  subject: "network",
  description:
    "A namespace with pods refuses all traffic, both ways, that no policy allows: a new pod starts with none.",
  level: "mandatory",
  severity: "high",
  subjectsOf: (stack) => stack.ofKind(...WORKLOAD_KINDS),
  checkStack(stack) {
    const closed = stack
      .ofKind("NetworkPolicy")
      // The API takes one that is left out for one that is empty.
      .filter(({ props }) => selectsAll(at(props, "spec", "podSelector") ?? {}));
    const closes = (namespace: string, direction: string): boolean =>
      closed.some(
        (policy) =>
          namespaceOf(policy) === namespace &&
          texts(at(policy.props, "spec", "policyTypes")).includes(direction) &&
          !allowsEverything(policy, direction),
      );
    const first = new Map<string, ResourceView>();
    for (const resource of stack.ofKind(...WORKLOAD_KINDS)) {
      if (!first.has(namespaceOf(resource))) first.set(namespaceOf(resource), resource);
    }
    return [...first].flatMap(([namespace, resource]) => {
      const open = ["Ingress", "Egress"].filter((direction) => !closes(namespace, direction));
      return open.length === 0
        ? []
        : [
            {
              urn: resource.urn,
              message: `namespace ${namespace} has no policy that denies ${open.join(" and ")} for all its pods; declare one with podSelector {}`,
            },
          ];
    });
  },
};

/** Whether one of its rules lets everything through, so that it denies nothing. */
function allowsEverything({ props }: ResourceView, direction: string): boolean {
  const rules = at(props, "spec", direction.toLowerCase());
  return (
    Array.isArray(rules) &&
    rules.some(
      (rule) => entries(rule).filter(([, value]) => Array.isArray(value) && value.length > 0).length === 0,
    )
  );
}
