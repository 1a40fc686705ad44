import * as pulumi from "@pulumi/pulumi";

import type { Problem } from "./checks.js";
import { CONFIG_KEYS, ConfigError, parseConfig, SECRET_KEYS } from "./config.js";
import type { StackConfig } from "./config.js";

/** The configuration of the stack that runs, and what in it is secret. */
export interface StackSettings {
  readonly config: StackConfig;
  /** Path or content of the kubeconfig. */
  readonly kubeconfig: pulumi.Output<string>;
  /** A login that may create roles and the schema. */
  readonly catalogueAdminUrl: pulumi.Output<string>;
  /** The key that MinIO encrypts with, 32 bytes in base 64; undefined where the stack generates it. */
  readonly objectStorageKey: pulumi.Output<string> | undefined;
}

const KEY_BYTES = 32;

/** Reads and checks everything before any resource is declared. Throws {@link ConfigError}. */
export function readSettings(source = new pulumi.Config()): StackSettings {
  const environment = pulumi.getStack();
  const raw: Record<string, unknown> = {};
  // Everything that is set, not only what is known: a misspelt key must not pass for its default.
  for (const [qualified, value] of Object.entries(pulumi.runtime.allConfig())) {
    const key = qualified.slice(`${source.name}:`.length);
    if (!qualified.startsWith(`${source.name}:`) || (SECRET_KEYS as readonly string[]).includes(key))
      continue;
    raw[key] = CONFIG_KEYS[key as keyof typeof CONFIG_KEYS] === "json" ? parsed(value) : value;
  }
  const given = (key: string) => (source.get(key) ? source.getSecret(key) : undefined);
  const secrets = { kubeconfig: given("kubeconfig"), catalogueAdminUrl: given("catalogueAdminUrl") };
  const missing = Object.entries(secrets)
    .filter(([, value]) => value === undefined)
    .map(([key]) => ({ key, value: undefined, allowed: "a value, set with `pulumi config set --secret`" }));
  const problems = [...missing, ...problemsOfKey(source.get("objectStorageKey"))];
  let config: StackConfig;
  try {
    config = parseConfig(environment, raw);
  } catch (error) {
    throw error instanceof ConfigError
      ? new ConfigError(environment, [...error.problems, ...problems])
      : error;
  }
  const { kubeconfig, catalogueAdminUrl } = secrets;
  if (!kubeconfig || !catalogueAdminUrl || problems.length > 0) throw new ConfigError(environment, problems);
  return { config, kubeconfig, catalogueAdminUrl, objectStorageKey: given("objectStorageKey") };
}

/** What is wrong with the key, which isn't shown. */
function problemsOfKey(key: string | undefined): Problem[] {
  if (!key || isKey(key)) return [];
  const allowed = `${KEY_BYTES} bytes in base 64, as Secret object-storage-server has them behind "video-storage:"`;
  return [{ key: "objectStorageKey", value: "(secret)", allowed }];
}

function isKey(text: string): boolean {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === KEY_BYTES && bytes.toString("base64") === text;
}

/** What isn't JSON is left as it is, for the check of its key to report. */
function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
