import type { ResourceRule } from "../../model";
import { at, is, shown } from "../../model";
import { eachContainer, makesPods } from "../../workloads";

export const rootReadOnly: ResourceRule = {
  name: "root-read-only",
  subject: "pods",
  description:
    "Containers can't write to their image's files: what they write goes to volumes, whose size is limited and counted.",
  level: "mandatory",
  severity: "high",
  appliesTo: makesPods,
  check: (resource) =>
    eachContainer(resource, ({ container }) => {
      const readOnly = at(container, "securityContext", "readOnlyRootFilesystem");
      return is(readOnly, true)
        ? []
        : [`readOnlyRootFilesystem is ${shown(readOnly)}; set securityContext.readOnlyRootFilesystem: true`];
    }),
};
