import type { ResourceRule } from "../../model";
import { at, kindOf, objects } from "../../model";

/** Groups and users that anybody is, or that everything is allowed to. */
const TOO_MANY = new Set([
  "system:authenticated",
  "system:unauthenticated",
  "system:serviceaccounts",
  "system:anonymous",
  "system:masters",
]);
const TOO_MUCH = new Set(["cluster-admin", "admin", "edit"]);

export const rightsGivenToOne: ResourceRule = {
  name: "rights-given-to-one",
  subject: "access",
  description:
    "Bindings give narrow roles to accounts made for them, never to everybody or to a namespace's default account.",
  level: "mandatory",
  severity: "critical",
  appliesTo: (resource) => ["RoleBinding", "ClusterRoleBinding"].includes(kindOf(resource) ?? ""),
  check: ({ props }) => [
    ...objects(props["subjects"]).flatMap((subject) => {
      const name = String(subject["name"]);
      if (TOO_MANY.has(name) || name.startsWith("system:serviceaccounts:")) {
        return [`it is given to ${name}; give it to one ServiceAccount`];
      }
      const isDefault =
        subject["kind"] === "ServiceAccount"
          ? name === "default"
          : /^system:serviceaccount:[^:]*:default$/.test(name);
      return isDefault
        ? ["it is given to the default ServiceAccount, which every pod has that names none; make one for it"]
        : [];
    }),
    ...(TOO_MUCH.has(String(at(props, "roleRef", "name")))
      ? [`it gives the role ${String(at(props, "roleRef", "name"))}; write a role with what is needed`]
      : []),
  ],
};
