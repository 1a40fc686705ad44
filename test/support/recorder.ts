import { createHash } from "node:crypto";

import { settled, startRecording } from "../../infra/recording-monitor.js";
import { unwrapped } from "../../infra/secret-values.js";
import type { RecordedResource, RecordingOptions } from "../../infra/recording-monitor.js";

/** What a program declared, and short ways to look at it. */
export interface Declared {
  readonly resources: readonly RecordedResource[];
  /** URNs of the components that registered their outputs, as often as they did. */
  readonly finished: readonly string[];
  /** The one resource whose type ends in `kind` and whose name is `name`; fails when there is none. */
  one(kind: string, name: string): RecordedResource;
  /** The inputs of {@link one}, without the marks of secrets. */
  inputs(kind: string, name: string): Record<string, unknown>;
  /** `Kind name` of everything, components first as they were declared. */
  names(): string[];
}

/**
 * Runs `declare` on Pulumi's in-process monitor and returns what it declared, options included. Import the
 * modules under test inside `declare`, because some of them read the stack's name when they load.
 */
export async function declared(
  declare: () => unknown,
  options: Partial<RecordingOptions> = {},
): Promise<Declared> {
  const { resources, finished } = await startRecording({
    project: "video-storage",
    stack: "test",
    stateOf: randomState,
    ...options,
  });
  await declare();
  await settled();
  const kindOf = (resource: RecordedResource) => resource.type.split(":").at(-1)!;
  const one = (kind: string, name: string) => {
    const found = resources.filter((resource) => kindOf(resource) === kind && resource.name === name);
    if (found.length !== 1) {
      throw new Error(
        `${found.length} resources are ${kind} ${name} among ${resources.map((r) => `${kindOf(r)} ${r.name}`).join(", ")}`,
      );
    }
    return found[0]!;
  };
  return {
    resources,
    finished,
    one,
    inputs: (kind, name) => unwrapped(one(kind, name).inputs),
    names: () => resources.map((resource) => `${kindOf(resource)} ${resource.name}`),
  };
}

/** What the random provider would give back, the same every time. */
function randomState(type: string, name: string, inputs: Record<string, unknown>): Record<string, unknown> {
  const bytes = createHash("sha256").update(name).digest();
  if (type.endsWith(":RandomBytes")) return { ...inputs, base64: bytes.toString("base64") };
  if (type.endsWith(":RandomPassword")) return { ...inputs, result: bytes.toString("hex") };
  return inputs;
}
