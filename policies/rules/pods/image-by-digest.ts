import type { ResourceRule } from "../../model";
import { at, objects, UNKNOWN } from "../../model";
import { eachContainer, makesPods, podTemplateOf } from "../../workloads";

export const imageByDigest: ResourceRule = {
  name: "image-by-digest",
  subject: "pods",
  description:
    "Images are named by digest: a tag can mean something else tomorrow, and what it names deletes things.",
  level: "mandatory",
  severity: "high",
  limits: ["allowedRegistries"],
  appliesTo: makesPods,
  check: (resource, { allowedRegistries }) => [
    ...eachContainer(resource, ({ container }) => problemsOf(at(container, "image"), allowedRegistries)),
    ...objects(podTemplateOf(resource).spec["volumes"])
      .filter((volume) => at(volume, "image") !== undefined)
      .flatMap((volume) =>
        problemsOf(at(volume, "image", "reference"), allowedRegistries).map(
          (problem) => `volumes/${String(volume["name"])}: ${problem}`,
        ),
      ),
  ],
};

function problemsOf(image: unknown, allowedRegistries: readonly string[]): string[] {
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
    problems.push(`image ${String(image)} is from elsewhere; allowed are ${allowedRegistries.join(", ")}`);
  }
  return problems;
}
