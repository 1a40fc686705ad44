import type { ResourceRule } from "../../model";
import { at, objects } from "../../model";
import { eachContainer, makesPods } from "../../workloads";

export const environmentUnambiguous: ResourceRule = {
  name: "environment-unambiguous",
  subject: "pods",
  description:
    "No variable is set twice in a container: the last one wins, and server-side apply refuses the object.",
  level: "advisory",
  severity: "low",
  appliesTo: makesPods,
  check: (resource) =>
    eachContainer(resource, ({ container }) => {
      const names = objects(at(container, "env")).map(({ name }) => String(name));
      const twice = new Set(names.filter((name, index) => names.indexOf(name) !== index));
      return [...twice].map((name) => `variable ${name} is set twice; keep one`);
    }),
};
