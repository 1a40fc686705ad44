import type { ResourceRule } from "../../model";
import { at, objects, texts } from "../../model";
import { SHORTEST_SECRET, holdsCredentials, isSecretName } from "../../secret-names";
import { eachContainer, makesPods } from "../../workloads";

export const noSecretInEnvironment: ResourceRule = {
  name: "no-secret-in-environment",
  subject: "secrets",
  description:
    "Secrets reach a container as files: its environment and arguments are read by every child, by crash reports and by /proc.",
  level: "mandatory",
  severity: "critical",
  appliesTo: makesPods,
  check: (resource) =>
    eachContainer(resource, ({ container }) => [
      ...objects(container["env"]).flatMap(variableProblems),
      ...objects(container["envFrom"])
        .filter((source) => source["secretRef"] !== undefined)
        .map(() => "envFrom takes a Secret into the environment; mount it as files"),
      ...[...texts(container["command"]), ...texts(container["args"])].flatMap(argumentProblems),
    ]),
};

const ADVICE = "mount a Secret as a file and name the file";

// The values themselves never go into a message.
function variableProblems(variable: Record<string, unknown>): string[] {
  const name = String(variable["name"]);
  const value = variable["value"];
  if (typeof value === "string" && value !== "") {
    if (isSecretName(name)) return [`variable ${name} looks like a secret in clear; ${ADVICE}`];
    if (holdsCredentials(value)) return [`variable ${name} holds credentials; ${ADVICE}`];
  }
  return at(variable, "valueFrom", "secretKeyRef") === undefined
    ? []
    : [`variable ${name} takes a Secret into the environment; ${ADVICE}`];
}

function argumentProblems(argument: string, index: number, all: readonly string[]): string[] {
  if (holdsCredentials(argument)) return [`an argument holds credentials; ${ADVICE}`];
  const [, option, joined] = /^--?([\w-]+)(?:=(.+))?$/.exec(argument) ?? [];
  if (option === undefined || !isSecretName(option)) return [];
  return joined !== undefined || isValue(all[index + 1])
    ? [`option ${option} looks like a secret in clear; ${ADVICE}`]
    : [];
}

/** Whether what follows an option can be a secret: neither another option, nor a file, nor a short word of its own. */
function isValue(next: string | undefined): boolean {
  return next !== undefined && next.length >= SHORTEST_SECRET && !/^[-/]/.test(next);
}
