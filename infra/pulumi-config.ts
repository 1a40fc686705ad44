import * as pulumi from "@pulumi/pulumi";

import { CONFIG_KEYS, ConfigError, parseConfig, SECRET_KEYS } from "./config.js";
import type { StackConfig } from "./config.js";

/** The configuration of the stack that runs, and what in it is secret. */
export interface StackSettings {
  readonly config: StackConfig;
  /** Path or content of the kubeconfig. */
  readonly kubeconfig: pulumi.Output<string>;
  /** A login that may create roles and the schema. */
  readonly catalogueAdminUrl: pulumi.Output<string>;
}

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
  let config: StackConfig;
  try {
    config = parseConfig(environment, raw);
  } catch (error) {
    throw error instanceof ConfigError
      ? new ConfigError(environment, [...error.problems, ...missing])
      : error;
  }
  const { kubeconfig, catalogueAdminUrl } = secrets;
  if (!kubeconfig || !catalogueAdminUrl) throw new ConfigError(environment, missing);
  return { config, kubeconfig, catalogueAdminUrl };
}

/** What isn't JSON is left as it is, for the check of its key to report. */
function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
