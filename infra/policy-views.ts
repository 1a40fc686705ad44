import { isSecret, unwrapped } from "./secret-values.js";
import type { RecordedResource } from "./recording-monitor.js";

/**
 * The declared resources as the policies see them (`ResourceView`, which an ES module can't import): those of
 * providers, without the components around them.
 */
export function policyViews(resources: readonly RecordedResource[]) {
  return resources
    .filter(({ custom }) => custom)
    .map(({ urn, type, name, inputs, protect, provider, propertyDependencies }) => ({
      ...{ urn, type, name, protect },
      props: unwrapped(inputs),
      provider: providerName(provider),
      uses: propertyDependencies,
      secretPaths: new Set(secretPaths(inputs)),
    }));
}

/** The name in a reference to a provider (`urn::id`); empty for the default one. */
function providerName(reference: string): string {
  return reference.split("::")[3] ?? "";
}

function secretPaths(value: unknown, path: readonly string[] = []): string[] {
  if (isSecret(value)) return [path.join(".")];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, entry]) => secretPaths(entry, [...path, key]));
}
