import { randomBytes } from "node:crypto";
import { accessSync, constants, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import type { EngineEvent, OpMap, Stack } from "@pulumi/pulumi/automation/index.js";
import { parse, stringify } from "yaml";

import { AFTER_A_KILL } from "./after-a-kill.js";
import { SECRET_KEYS } from "./config.js";
import type { RenderOptions, StackOutputs } from "./render-program.js";
import { removeAbandonedLocks } from "./engine-locks.js";
import { PROJECT, PROJECT_DIRECTORY, readProjectFile, stackConfiguration } from "./stack-files.js";

export interface EngineOptions extends Pick<RenderOptions, "stack" | "config" | "secretConfig"> {
  /** Everything the engine keeps lies here: state, passphrase, the stack's settings. The repository is not written to. */
  readonly stateDirectory: string;
  /** What the engine says, as it says it. */
  readonly onOutput?: (text: string) => void;
  /** Directories of policy packs to enforce, and files with the configuration of each, in the same order. */
  readonly policyPacks?: readonly string[];
  readonly policyPackConfigs?: readonly string[];
}

export interface EngineResult {
  readonly outputs: StackOutputs;
  /** How many resources were created, updated, replaced, left the same. */
  readonly changes: OpMap;
}

/** The `pulumi` CLI on PATH; undefined where there is none. */
export function findPulumi(path = process.env.PATH ?? ""): string | undefined {
  return path
    .split(delimiter)
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, "pulumi"))
    .find(isProgram);
}

/** `pulumi up` of the stack, with its state in files. Needs the CLI and the provider plugins. */
export async function up(options: EngineOptions): Promise<EngineResult> {
  const stack = await openStack(options);
  await goOnAfterAKill(stack);
  const result = await stack.up({ color: "never", ...common(options) });
  const outputs = Object.fromEntries(
    Object.entries(result.outputs).map(([key, { value }]) => [key, value as unknown]),
  );
  return { outputs: outputs as unknown as StackOutputs, changes: result.summary.resourceChanges ?? {} };
}

/** `pulumi preview`: what `up` would do, without a cluster. The events carry every resource's inputs. */
export async function preview(options: EngineOptions): Promise<{ changes: OpMap; events: EngineEvent[] }> {
  const stack = await openStack(options);
  const events: EngineEvent[] = [];
  const result = await stack.preview({
    color: "never",
    ...common(options),
    onEvent: (event) => events.push(event),
  });
  return { changes: result.changeSummary, events };
}

/**
 * `pulumi destroy`. Where the program protects a resource it fails, says at what, and has deleted nothing; with
 * `exceptProtected` it leaves those and what they need.
 */
export async function destroy(options: EngineOptions & { exceptProtected?: boolean }): Promise<void> {
  const stack = await openStack(options);
  const { onOutput, exceptProtected = false } = options;
  const what = { color: "never", excludeProtected: exceptProtected, ...(onOutput && { onOutput }) } as const;
  // Without it, as `stack.destroy` goes about it, the engine deletes all the rest before it fails at what is protected.
  await stack.previewDestroy(what);
  await stack.destroy(what);
}

/**
 * What an engine was making when it was killed may be there, and is in no state: the provider would refuse to
 * make it again (pulumi-kubernetes#4278). It is ours, so this once it is taken as it is. Each run makes objects under a
 * field manager of its own name, and with the killed one's it would conflict wherever the API has added a default to
 * a field that is applied as a whole, such as `fieldRef`.
 */
async function goOnAfterAKill(stack: Stack): Promise<void> {
  const { deployment } = await stack.exportStack();
  const pending = (deployment as { pending_operations?: unknown[] } | undefined)?.pending_operations ?? [];
  if (pending.length === 0) return;
  for (const setting of AFTER_A_KILL) stack.workspace.envVars[setting] = "true";
}

function common({ onOutput, policyPacks, policyPackConfigs }: EngineOptions) {
  return {
    ...(onOutput && { onOutput }),
    ...(policyPacks && { policyPacks: [...policyPacks] }),
    ...(policyPackConfigs && { policyPackConfigs: [...policyPackConfigs] }),
  };
}

async function openStack(options: EngineOptions): Promise<Stack> {
  const { stack: stackName, stateDirectory } = options;
  const workDir = join(stateDirectory, "workspace");
  const state = join(stateDirectory, "state");
  for (const directory of [workDir, state]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  removeAbandonedLocks(join(state, ".pulumi", "locks"));
  writeProject(workDir);
  writeSettings(workDir, options);

  // Loaded where there is an engine to drive: a second of a processor, which a start without one is spared.
  const { LocalWorkspace } = await import("@pulumi/pulumi/automation/index.js");
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName, workDir },
    {
      secretsProvider: "passphrase",
      envVars: {
        PULUMI_BACKEND_URL: pathToFileURL(state).href,
        PULUMI_CONFIG_PASSPHRASE: passphrase(stateDirectory),
        PULUMI_SKIP_UPDATE_CHECK: "true",
        // The language host takes the first node on PATH, and the SDK wants a newer one than many machines have.
        PATH: [dirname(process.execPath), process.env.PATH ?? ""].join(delimiter),
      },
    },
  );
  const secrets = SECRET_KEYS.flatMap((key) => {
    const value = options.secretConfig?.[key];
    return value === undefined ? [] : [[`${PROJECT}:${key}`, { value, secret: true }] as const];
  });
  await stack.setAllConfig(Object.fromEntries(secrets));
  return stack;
}

/** The repository's project, seen from elsewhere, so that no command changes the repository's own files. */
function writeProject(workDir: string): void {
  const project = { ...readProjectFile(), main: join(PROJECT_DIRECTORY, "infra") };
  writeFileSync(join(workDir, "Pulumi.yaml"), stringify(project));
}

function writeSettings(workDir: string, { stack, config }: EngineOptions): void {
  const file = join(workDir, `Pulumi.${stack}.yaml`);
  const { encryptionsalt } = readSettings(file);
  const values = Object.entries(stackConfiguration(stack, config)).map(([key, value]) => [
    `${PROJECT}:${key}`,
    value,
  ]);
  const settings = {
    ...(encryptionsalt !== undefined && { encryptionsalt }),
    config: Object.fromEntries(values),
  };
  writeFileSync(file, stringify(settings), { mode: 0o600 });
}

function readSettings(file: string): { encryptionsalt?: string } {
  try {
    return (parse(readFileSync(file, "utf8")) ?? {}) as { encryptionsalt?: string };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}

/** Made once; without it the secrets in the state can't be read again. */
function passphrase(stateDirectory: string): string {
  const file = join(stateDirectory, "passphrase");
  try {
    writeFileSync(file, `${randomBytes(32).toString("hex")}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFileSync(file, "utf8").trim();
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
