import type { ResourceRule } from "../../model";
import { kindOf, objects, texts } from "../../model";

/** What lets a subject become something else (Kubernetes documentation, RBAC good practices). */
const ESCALATING_VERBS = ["escalate", "bind", "impersonate"];
const ESCALATING_RESOURCES = [
  "pods/exec",
  "pods/attach",
  "pods/ephemeralcontainers",
  "nodes/proxy",
  "serviceaccounts/token",
  "certificatesigningrequests/approval",
];
const WRITING = ["create", "update", "patch", "delete", "deletecollection"];

export const rightsLeast: ResourceRule = {
  name: "rights-least",
  subject: "access",
  description:
    "Roles name verbs and resources one by one, read no secrets in bulk, and let nobody become somebody else.",
  level: "mandatory",
  severity: "critical",
  appliesTo: (resource) => ["Role", "ClusterRole"].includes(kindOf(resource) ?? ""),
  check: ({ props }) =>
    objects(props["rules"]).flatMap((rule, index) => {
      const [verbs, resources] = [texts(rule["verbs"]), texts(rule["resources"])];
      const found: string[] = [];
      if (verbs.includes("*")) found.push("verbs are *; list those that are used");
      if (resources.includes("*")) found.push("resources are *; list those that are used");
      if (texts(rule["apiGroups"]).includes("*")) found.push("apiGroups are *; list those that are used");
      if (texts(rule["nonResourceURLs"]).some((url) => url.startsWith("*") || url === "/*")) {
        found.push("nonResourceURLs are *; list those that are used");
      }
      const becoming = verbs.filter((verb) => ESCALATING_VERBS.includes(verb));
      if (becoming.length > 0)
        found.push(`verbs ${becoming.join(", ")} let it become somebody else; leave them out`);
      const entering = resources.filter(isEscalating);
      if (entering.length > 0)
        found.push(`resources ${entering.join(", ")} lead into other pods; leave them out`);
      const named = texts(rule["resourceNames"]).length > 0;
      if (resources.includes("secrets") && verbs.some((verb) => ["list", "watch"].includes(verb))) {
        found.push(
          "it lists secrets, which shows their values; get the one that is needed, by resourceNames",
        );
      } else if (resources.includes("secrets") && verbs.includes("get") && !named) {
        found.push("it gets any secret; name those that it needs in resourceNames");
      }
      if (
        resources.some((resource) => /^(?:cluster)?role(?:binding)?s$/.test(resource)) &&
        verbs.some((verb) => WRITING.includes(verb))
      ) {
        found.push("it writes roles or bindings; leave that to whoever runs the stack");
      }
      if (
        resources.some((resource) =>
          /webhookconfigurations$|^(?:validating|mutating)admissionpolic/.test(resource),
        ) &&
        verbs.some((verb) => WRITING.includes(verb))
      ) {
        found.push("it writes admission rules; leave that to whoever runs the cluster");
      }
      return found.map((message) => `rule ${index + 1}: ${message}`);
    }),
};

/** Whether a resource is one that escalates, or a part of any resource (`*\/exec`) that holds one. */
function isEscalating(resource: string): boolean {
  const [parent, part] = resource.split("/");
  return ESCALATING_RESOURCES.some(
    (escalating) => escalating === resource || (parent === "*" && escalating.split("/")[1] === part),
  );
}
