import type { ResourceRule } from "../../model";
import { at, UNKNOWN } from "../../model";
import { eachContainer, makesPods } from "../../workloads";

export const imageByDigest: ResourceRule = {
  name: "image-by-digest",
  subject: "pods",
  description:
    "Images are named by digest: a tag can mean something else tomorrow, and what it names deletes things.",
  level: "mandatory",
  severity: "high",
  limits: ["allowedRegistries"],
  appliesTo: makesPods,
  check: (resource, { allowedRegistries }) =>
    eachContainer(resource, ({ container }) => {
      const image = at(container, "image");
      if (image === UNKNOWN) return [];
      const problems: string[] = [];
      if (!/^[^\s@]+@sha256:[a-f0-9]{64}$/.test(String(image))) {
        problems.push(`image ${String(image)} has no digest; use name@sha256:…`);
      }
      if (/:latest(@|$)/.test(String(image))) {
        problems.push(`image ${String(image)} is called latest; name the version`);
      }
      if (
        allowedRegistries.length > 0 &&
        !allowedRegistries.some((beginning) => String(image).startsWith(beginning))
      ) {
        problems.push(
          `image ${String(image)} is from elsewhere; allowed are ${allowedRegistries.join(", ")}`,
        );
      }
      return problems;
    }),
};
