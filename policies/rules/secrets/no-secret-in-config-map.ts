import type { ResourceRule } from "../../model";
import { at, entries, kindOf } from "../../model";
import { SHORTEST_SECRET, holdsCredentials, isSecretName } from "../../secret-names";

export const noSecretInConfigMap: ResourceRule = {
  name: "no-secret-in-config-map",
  subject: "secrets",
  description:
    "ConfigMaps, labels and annotations hold no secret: whoever may look at anything may look at them.",
  level: "mandatory",
  severity: "critical",
  appliesTo: (resource) => kindOf(resource) !== undefined,
  check(resource) {
    const { props } = resource;
    const data =
      kindOf(resource) === "ConfigMap" ? [...entries(props["data"]), ...decoded(props["binaryData"])] : [];
    return [
      ...data.flatMap(([key, value]) => {
        if (typeof value !== "string" || value === "") return [];
        if (isSecretName(key)) return [`key ${key} looks like a secret; move it to a Secret`];
        return holdsCredentials(value) || secretField(value) !== undefined
          ? [`key ${key} holds credentials; move them to a Secret`]
          : [];
      }),
      ...metadataIn(props).flatMap(([path, metadata]) =>
        ["labels", "annotations"].flatMap((field) =>
          entries(at(metadata, field))
            .filter(([, value]) => typeof value === "string" && holdsCredentials(value))
            .map(([key]) => `${path}.${field}.${key} holds credentials; move them to a Secret`),
        ),
      ),
    ];
  },
};

function decoded(binaryData: unknown): [string, unknown][] {
  return entries(binaryData).map(([key, value]) => [
    key,
    typeof value === "string" ? Buffer.from(value, "base64").toString("latin1") : value,
  ]);
}

/** The metadata of an object and of the templates in it, each with its path. */
function metadataIn(value: unknown, path = ""): [string, unknown][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === "metadata" ? [[`${path}${key}`, inner]] : metadataIn(inner, `${path}${key}.`),
  );
}

/** A field that is called a secret in Kubernetes' way says which Secret it means. */
const NAMES_A_SECRET = /Secret$/;

/** The first field of a JSON document that is named like a secret and has a text. */
function secretField(document: string): string | undefined {
  if (!/^\s*[[{]/.test(document)) return undefined;
  let found: string | undefined;
  try {
    JSON.parse(document, (key, value: unknown) => {
      if (
        typeof value === "string" &&
        value.length >= SHORTEST_SECRET &&
        isSecretName(key) &&
        !NAMES_A_SECRET.test(key)
      )
        found ??= key;
      return value;
    });
  } catch {
    return undefined;
  }
  return found;
}
