import { join } from "node:path";

import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { connect } from "@video-storage/catalogue/connection";
import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import { parseStackContract } from "@video-storage/contract/stack-contract";
import { UsageError } from "@video-storage/monitor/documents";
import { runStatus } from "@video-storage/monitor/status/run";
import type { ShowOptions } from "@video-storage/monitor/status/run";

import { catalogueSecretName } from "../components/lib/catalogue-logins.js";
import { CLEANUP_CONFIG_MAP, CONTRACT_CONFIG_MAP } from "../components/lib/mounts.js";
import { apiClient } from "./api-client.js";
import { recordedChoice } from "./cluster-choice.js";
import { openAccess } from "./environment/hosted/access.js";
import { SERVICES_NAMESPACE } from "./environment/hosted/names.js";
import { forwardPort } from "./environment/hosted/port-forward.js";
import { POSTGRES, PROMETHEUS, PROMETHEUS_PORT } from "./environment/hosted/services.js";
import { keptNetwork } from "./environment/network.js";
import { POSTGRES_PORT } from "./environment/administrator.js";
import { prometheusUrl } from "./environment/prometheus.js";
import { findSandbox } from "./environment/sandbox.js";
import { Failure } from "./failure.js";
import { requireState } from "./inspect.js";
import { stateDirectory } from "./paths.js";
import { SYSTEM_NAMESPACE, WORKERS_NAMESPACE } from "./stack.js";

/** Serves the status page of an environment, or prints the same. It has what an auditor may read and nothing else. */
export async function status({
  environment,
  ...options
}: { environment: string } & ShowOptions): Promise<void> {
  const state = stateDirectory(environment);
  const kubeconfig = join(state, "admin.kubeconfig");
  requireState(environment, kubeconfig);
  const reached = await reachServices(environment, state, kubeconfig);
  try {
    const { contract, cleanup, login } = await readDocuments(environment, kubeconfig);
    const catalogue = connect({ ...contract.catalogue, ...reached.catalogue, ...login });
    // The page is ended by Ctrl-C, which is not an interruption of it.
    for (const signal of ["SIGINT", "SIGTERM"]) process.removeAllListeners(signal);
    try {
      const { prometheus } = reached;
      process.exitCode = await runStatus({ contract, cleanup, catalogue, prometheus }, options);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      console.error(`✗ ${error.message}`);
      process.exitCode = 2;
    } finally {
      await catalogue.close();
    }
  } finally {
    reached.close();
  }
}

/** How this machine reaches the environment's database and Prometheus. */
interface Reached {
  readonly catalogue: { readonly host: string; readonly port: number };
  readonly prometheus: string;
  close(): void;
}

async function reachServices(environment: string, state: string, kubeconfig: string): Promise<Reached> {
  const choice = await recordedChoice(state);
  if (choice && choice.kind !== "built") {
    const access = await openAccess(kubeconfig);
    const catalogue = await forwardPort(access, SERVICES_NAMESPACE, POSTGRES, POSTGRES_PORT);
    const { host, port, close } = await forwardPort(access, SERVICES_NAMESPACE, PROMETHEUS, PROMETHEUS_PORT);
    return {
      catalogue: { host: catalogue.host, port: catalogue.port },
      prometheus: `http://${host}:${port}`,
      close: () => [catalogue.close(), close()],
    };
  }
  if (!(await findSandbox(state)))
    throw new Failure(`The environment ${environment} does not run.`, "Run npm start first.");
  const network = await keptNetwork(state);
  return {
    catalogue: { host: network.nodeAddress, port: POSTGRES_PORT },
    prometheus: prometheusUrl(network),
    close: () => {},
  };
}

/** The contract, the sweep's settings and the auditor's login, from where the stack put them. */
async function readDocuments(environment: string, kubeconfig: string) {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const core = apiClient(config, CoreV1Api);
  const missing = (error: unknown): never => {
    const why = (error as { code?: number }).code === 404 ? "the stack is not deployed in it" : String(error);
    throw new Failure(
      `The stack of environment ${environment} can't be read: ${why}.`,
      "Run npm start first.",
    );
  };
  const [contract, cleanup, auditor] = await Promise.all([
    core.readNamespacedConfigMap({ namespace: WORKERS_NAMESPACE, name: CONTRACT_CONFIG_MAP }),
    core.readNamespacedConfigMap({ namespace: WORKERS_NAMESPACE, name: CLEANUP_CONFIG_MAP }),
    core.readNamespacedSecret({ namespace: SYSTEM_NAMESPACE, name: catalogueSecretName("auditor") }),
  ]).catch(missing);
  const secret = (name: string): string => Buffer.from(auditor.data?.[name] ?? "", "base64").toString("utf8");
  return {
    contract: parseStackContract(JSON.parse(contract.data!["contract.json"]!)),
    cleanup: parseCleanupConfig(JSON.parse(cleanup.data!["cleanup.json"]!)),
    login: { user: secret("username"), password: secret("password") },
  };
}
