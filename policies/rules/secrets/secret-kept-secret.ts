import type { ResourceRule } from "../../model";
import { entries, isSet, kindOf, UNKNOWN } from "../../model";

const FIELDS = ["data", "stringData"];
/** Properties of other providers' resources that are secrets whatever they are called. */
const SECRET_PROPERTIES: Readonly<Record<string, readonly string[]>> = {
  "aws:secretsmanager/secretVersion:SecretVersion": ["secretString", "secretBinary"],
  "aws:ssm/parameter:Parameter": ["value"],
  "aws:rds/instance:Instance": ["password"],
  "aws:rds/cluster:Cluster": ["masterPassword"],
  "pulumi:providers:kubernetes": ["kubeconfig"],
};

export const secretKeptSecret: ResourceRule = {
  name: "secret-kept-secret",
  subject: "secrets",
  description:
    "What goes into a Secret is a secret to the engine too, or its state and its output show it in clear.",
  level: "mandatory",
  severity: "critical",
  appliesTo: (resource) =>
    resource.secretPaths !== undefined &&
    (kindOf(resource) === "Secret" || resource.type in SECRET_PROPERTIES),
  check: (resource) =>
    secretValues(resource.type, resource.props)
      .filter(([path]) => !covered(path, resource.secretPaths!))
      .map(([path]) => `${path} is kept in clear; wrap it with pulumi.secret()`),
};

function secretValues(type: string, props: Record<string, unknown>): [string, unknown][] {
  const values: [string, unknown][] =
    type in SECRET_PROPERTIES
      ? SECRET_PROPERTIES[type]!.map((key) => [key, props[key]])
      : FIELDS.flatMap((field) =>
          entries(props[field]).map(([key, value]): [string, unknown] => [`${field}.${key}`, value]),
        );
  return values.filter(([, value]) => isSet(value) && value !== UNKNOWN);
}

function covered(path: string, secretPaths: ReadonlySet<string>): boolean {
  const keys = path.split(".");
  return keys.some((_, index) => secretPaths.has(keys.slice(0, index + 1).join(".")));
}
