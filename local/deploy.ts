import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";

import { ALERTS_CONFIG_MAP, ALERTS_FILE } from "../components/lib/alerts/config-map.js";
import { apply } from "../infra/apply.js";
import type { Progress } from "../infra/apply.js";
import { findPulumi, up } from "../infra/engine.js";
import { render } from "../infra/render.js";
import type { StackOutputs } from "../infra/render.js";
import { apiClient } from "./api-client.js";
import type { Environment } from "./environment/environment.js";
import { Failure } from "./failure.js";
import { step } from "./progress.js";
import type { Report } from "./progress.js";
import { STACK, SYSTEM_NAMESPACE, localConfiguration } from "./stack.js";
import type { LocalConfiguration } from "./stack.js";
import { writeWholeFile } from "./whole-file.js";

/** How the stack is deployed: by the engine, without one, or by the engine where there is one. */
export type EngineChoice = "pulumi" | "render" | "auto";

/**
 * Deploys the stack into the environment and returns its outputs, and in words how it was done. An
 * environment stays with the way of its first deployment: each of the two keeps its own record of what it made.
 * `change` is for what one environment has otherwise than all others.
 */
export async function deploy(
  environment: Environment,
  choice: EngineChoice,
  change: (given: LocalConfiguration) => LocalConfiguration = (given) => given,
): Promise<{ outputs: StackOutputs; engine: string }> {
  const engine = await chooseEngine(environment, choice);
  const kubeconfig = await readFile(environment.cluster.kubeconfig, "utf8");
  const configuration = change(localConfiguration(environment, kubeconfig));
  if (engine === "pulumi") {
    const outputs = await step("Deploying the stack with the Pulumi engine", (report) =>
      deployWithEngine(environment, configuration, report),
    );
    return { outputs, engine: `the Pulumi engine (${findPulumi()})` };
  }
  const outputs = await step("Deploying the stack (rendered and applied, without an engine)", (report) =>
    deployRendered(environment, configuration, report),
  );
  return {
    outputs,
    engine:
      "render and apply, which is for trying out: `pulumi up` is how it is used, and wants the pulumi CLI on PATH",
  };
}

async function chooseEngine(environment: Environment, choice: EngineChoice): Promise<"pulumi" | "render"> {
  const file = join(environment.stateDirectory, "engine");
  const kept = (await readFile(file, "utf8").catch(() => "")).trim();
  const wanted = choice === "auto" ? kept || (findPulumi() ? "pulumi" : "render") : choice;
  if (wanted === "pulumi" && !findPulumi()) {
    throw new Failure("The pulumi CLI was not found on PATH.", "Install it, or start with --engine render.");
  }
  if (kept && kept !== wanted) {
    throw new Failure(
      `This environment's stack was deployed with ${kept}, and ${wanted} knows nothing of what it made.`,
      "Run npm run destroy first.",
    );
  }
  await writeWholeFile(file, `${wanted}\n`);
  return wanted as "pulumi" | "render";
}

async function deployWithEngine(
  environment: Environment,
  configuration: LocalConfiguration,
  report: Report,
): Promise<StackOutputs> {
  const { outputs } = await up({
    stack: STACK,
    ...configuration,
    stateDirectory: join(environment.stateDirectory, "pulumi"),
    onOutput: (text) => report(text.trim().split("\n").at(-1) ?? ""),
  });
  return outputs;
}

/** Deploys the stack without an engine: the same program, rendered and applied. For trying out. */
async function deployRendered(
  environment: Environment,
  configuration: LocalConfiguration,
  report: Report,
): Promise<StackOutputs> {
  const { cluster, stateDirectory } = environment;
  report("rendering the program");
  const rendered = await render({
    stack: STACK,
    ...configuration,
    keepSecretsIn: join(stateDirectory, "generated-secrets.json"),
  });
  await apply({
    kubeconfig: cluster.kubeconfig,
    systemNamespace: SYSTEM_NAMESPACE,
    manifests: rendered.manifests,
    onProgress: (progress) => report(described(progress)),
  });
  return rendered.outputs;
}

function described({ step, id, detail, done, total }: Progress): string {
  return `${done} of ${total} ready · ${step} ${id}${detail ? `: ${detail}` : ""}`;
}

/** Gives Prometheus the alert rules that the stack declared. */
export async function takeRules(environment: Environment): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(environment.cluster.kubeconfig);
  const { data } = await apiClient(config, CoreV1Api).readNamespacedConfigMap({
    namespace: SYSTEM_NAMESPACE,
    name: ALERTS_CONFIG_MAP,
  });
  await environment.takeRules(data![ALERTS_FILE]!);
}
