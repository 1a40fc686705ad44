import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

/** Name of the Pulumi project, which is also the namespace of its configuration keys. */
export const PROJECT = "video-storage";

/** The repository's root, where Pulumi.yaml is. */
export const PROJECT_DIRECTORY = fileURLToPath(new URL("../", import.meta.url)).replace(/\/$/, "");

/** Configuration by key, without the project's prefix; objects as objects. */
export type ConfigValues = Readonly<Record<string, unknown>>;

interface ProjectFile {
  readonly config: Readonly<Record<string, { readonly default?: unknown; readonly secret?: boolean }>>;
}

/** Pulumi.yaml as it is written. */
export function readProjectFile(): ProjectFile & Readonly<Record<string, unknown>> {
  return parse(readFileSync(`${PROJECT_DIRECTORY}/Pulumi.yaml`, "utf8")) as ProjectFile &
    Record<string, unknown>;
}

/**
 * The configuration that `pulumi` would hand to the program for `stack`: the defaults of Pulumi.yaml, then
 * Pulumi.{stack}.yaml if there is one, then `overrides`. Objects are merged, lists replaced. Encrypted
 * values are left out, because only the engine can read them.
 */
export function stackConfiguration(stack: string, overrides: ConfigValues = {}): ConfigValues {
  const declared = Object.entries(readProjectFile().config);
  const defaults = Object.fromEntries(
    declared.filter(([, entry]) => entry.default !== undefined).map(([key, entry]) => [key, entry.default]),
  );
  return [readStackFile(stack), overrides].reduce<ConfigValues>(merged, defaults);
}

function readStackFile(stack: string): ConfigValues {
  let text: string;
  try {
    text = readFileSync(`${PROJECT_DIRECTORY}/Pulumi.${stack}.yaml`, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  const config = ((parse(text) as { config?: ConfigValues } | null)?.config ?? {}) as ConfigValues;
  const prefix = `${PROJECT}:`;
  const own = Object.entries(config)
    .filter(([key, value]) => key.startsWith(prefix) && !isEncrypted(value))
    .map(([key, value]) => [key.slice(prefix.length), value]);
  return Object.fromEntries(own) as ConfigValues;
}

function isEncrypted(value: unknown): boolean {
  return isObject(value) && Object.keys(value).join() === "secure";
}

function merged(base: ConfigValues, over: ConfigValues): ConfigValues {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const before = result[key];
    result[key] = isObject(before) && isObject(value) ? merged(before, value) : value;
  }
  return result;
}

function isObject(value: unknown): value is ConfigValues {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
