import { objects } from "../model";
import type { ResourceRule } from "../model";
import { containersOf, podTemplateOf } from "../workloads";

const SECRET_NAME = /(?:PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_?KEY|ACCESS_?KEY|API_?KEY|CREDENTIAL)/i;
/** A name that says where the secret is rather than what it is. */
const POINTER_NAME = /_(?:FILE|PATH|DIRECTORY|DIR)$/i;
const CREDENTIALS_IN_URL = /^[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/i;

export const noSecretInEnvironment: ResourceRule = {
  name: "no-secret-in-environment",
  description:
    "Secrets reach a container as files: its environment is read by every child, by crash reports and by /proc.",
  level: "mandatory",
  severity: "critical",
  check(resource) {
    const pod = podTemplateOf(resource);
    if (!pod) return [];
    return containersOf(pod).flatMap(({ name, container }) => [
      ...objects(container.env).flatMap((variable) => variableProblems(name, variable)),
      ...objects(container.envFrom)
        .filter((source) => source.secretRef !== undefined)
        .map(() => `${name}: envFrom takes a Secret into the environment; mount it as files`),
    ]);
  },
};

function variableProblems(container: string, variable: Record<string, unknown>): string[] {
  const name = String(variable.name);
  const advice = "mount a Secret as a file and name the file";
  // The values themselves never go into a message.
  if (typeof variable.value === "string") {
    if (SECRET_NAME.test(name) && !POINTER_NAME.test(name) && variable.value !== "") {
      return [`${container}: variable ${name} looks like a secret in clear; ${advice}`];
    }
    if (CREDENTIALS_IN_URL.test(variable.value)) {
      return [`${container}: variable ${name} holds a URL with credentials; ${advice}`];
    }
  }
  const source = variable.valueFrom as Record<string, unknown> | undefined;
  if (source?.secretKeyRef !== undefined) {
    return [`${container}: variable ${name} takes a Secret into the environment; ${advice}`];
  }
  return [];
}
