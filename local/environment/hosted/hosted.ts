import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { Catalogue } from "@video-storage/catalogue/connection";

import { apply, destroyApplied } from "../../../infra/apply.js";
import { destroy as destroyWithEngine } from "../../../infra/engine.js";
import { unpackDebianPackages } from "../../build/debian-packages.js";
import { buildPrograms } from "../../build/programs.js";
import { recordChoice } from "../../cluster-choice.js";
import type { RecordedChoice } from "../../cluster-choice.js";
import { Failure } from "../../failure.js";
import { buildServiceImages, buildStackImages } from "../../images/images.js";
import type { ServiceImages, StackImages } from "../../images/images.js";
import { cacheDirectory, stateDirectory } from "../../paths.js";
import { step } from "../../progress.js";
import type { Report } from "../../progress.js";
import { STACK, SYSTEM_NAMESPACE, WORKERS_NAMESPACE } from "../../stack.js";
import { writeWholeFile } from "../../whole-file.js";
import {
  DATABASE_NAME,
  POSTGRES_PORT,
  adminPassword,
  adminUrl,
  connectAsAdministrator,
} from "../administrator.js";
import type { Slot } from "../disks.js";
import type { Environment } from "../environment.js";
import { extractContext, kubeconfigFile, openAccess } from "./access.js";
import type { Access } from "./access.js";
import { ensureImages, imageLoaderFor } from "./image-loading.js";
import { deleteKindCluster, ensureKindCluster, exists, kindClusterOf, stopKindCluster } from "./kind.js";
import { HOSTED_SLOTS_DIRECTORY, SERVICES_NAMESPACE } from "./names.js";
import { disksNotice, ensureNodeDisks, removeNodeDisks } from "./node-disks.js";
import { chooseNode, usableNodes } from "./nodes.js";
import { isOurs, refuseIfTaken, servicesNamespace } from "./ownership.js";
import { pauseWorkloads, resumeWorkloads } from "./pause.js";
import { forwardPort } from "./port-forward.js";
import { POSTGRES, POSTGRES_HOST, PROMETHEUS, PROMETHEUS_PORT, serviceManifests } from "./services.js";
import { asRange, serveFromPod, videoSourceAddress } from "./video-source.js";

const KIND_READY_WITHIN_SECONDS = 120;

/** What an environment keeps of the cluster that it uses. */
interface Kept {
  /** Which cluster it is, whatever its context's name leads to later. */
  readonly identity: string;
  readonly node: string;
  /** Reference of the image that makes the slots and removes them. */
  readonly nodeDisks?: string;
}

/**
 * Brings an environment up on a cluster that is not built here: somebody's own, or one that kind makes for it.
 * Nothing of it runs on this machine; the database, the monitoring and the video's site are pods.
 */
export async function startHosted(
  name: string,
  choice: RecordedChoice,
  slots: readonly Slot[],
): Promise<Environment> {
  const state = stateDirectory(name);
  await mkdir(state, { recursive: true });
  const { access, node, nodes } = await step("Looking at the cluster", async (report) => {
    const kubeconfig = await kubeconfigOf(name, choice, report);
    if (choice.kind === "kind") await untilNodesAreReady(kubeconfig, report);
    const access = await openAccess(kubeconfig);
    const kept = await keptOf(state);
    refuseAnotherCluster(access, kept);
    const nodes = await nodesOf(access, kept?.node);
    const node = chooseNode(kept?.node, nodes);
    imageLoaderFor(access.context, choice.imageLoader);
    await refuseIfTaken(access, state);
    return { access, node, nodes };
  });
  await recordChoice(state, choice);
  const { stack, services } = await buildHostedImages();
  await keep(state, { identity: access.identity, node, nodeDisks: services.nodeDisks.reference });
  await access.client.apply(servicesNamespace(state));
  await step("Bringing the images to the cluster's nodes", (report) =>
    ensureImages(
      access,
      nodes,
      [...Object.values(stack), ...Object.values(services)],
      imageLoaderFor(access.context, choice.imageLoader),
      report,
    ),
  );
  console.log(disksNotice(node, slots));
  await step("Making the slots on the node", () =>
    ensureNodeDisks(access, node, services.nodeDisks.reference, slots),
  );
  const applyServices = async (report: Report): Promise<void> => {
    const manifests = serviceManifests({
      namespace: servicesNamespace(state),
      node,
      images: services,
      password: await adminPassword(state),
      rules: await readFile(rulesFile(state), "utf8").catch(() => '{"groups":[]}'),
    });
    await apply({
      kubeconfig: access.config,
      systemNamespace: SERVICES_NAMESPACE,
      manifests,
      onProgress: ({ step: what, id, detail }) => report(`${what} ${id}${detail ? `: ${detail}` : ""}`),
    });
  };
  await step("Starting Postgres, Prometheus and node-exporter in the cluster", async (report) => {
    await resumeWorkloads(access);
    await applyServices(report);
  });
  return {
    name,
    stateDirectory: state,
    cluster: { kubeconfig: access.kubeconfig, context: access.context },
    nodes: [{ name: node, slotsDirectory: HOSTED_SLOTS_DIRECTORY }],
    database: {
      host: POSTGRES_HOST,
      port: POSTGRES_PORT,
      name: DATABASE_NAME,
      adminUrl: adminUrl(await adminPassword(state), POSTGRES_HOST),
    },
    images: stack,
    videoSources: [asRange(await videoSourceAddress(access))],
    prometheus: `npm run kubectl -- -n ${SERVICES_NAMESPACE} port-forward deployment/${PROMETHEUS} ${PROMETHEUS_PORT}`,
    logs: `npm run kubectl -- -n ${SERVICES_NAMESPACE} logs deployment/${POSTGRES} (or ${PROMETHEUS}, ...)`,
    openCatalogue: () => openCatalogueOf(access, state),
    serveVideo: (file) => serveFromPod(access, file),
    takeRules: async (rules) => {
      await writeFile(rulesFile(state), rules);
      await applyServices(() => {});
    },
  };
}

/** Ends every pod of the environment, and stops the cluster if kind made it. Returns whether anything ran. */
export async function stopHosted(name: string, choice: RecordedChoice): Promise<boolean> {
  const state = stateDirectory(name);
  if (choice.kind === "kind") {
    const cluster = kindClusterOf(name, state);
    if (!(await exists(cluster))) return false;
    // Paused first: at the next start the slots are to be mounted before a pod uses them.
    const ran = await openAccess(cluster.kubeconfig).then(pauseWorkloads, () => false);
    await stopKindCluster(cluster);
    return ran;
  }
  const access = await accessAgain(state, choice);
  return access !== undefined && (await isOurs(access, state)) === true && pauseWorkloads(access);
}

/** Removes the environment from the cluster, or the cluster if kind made it. Returns whether there was any. */
export async function destroyHosted(name: string, choice: RecordedChoice): Promise<boolean> {
  const state = stateDirectory(name);
  if (choice.kind === "kind") {
    await deleteKindCluster(kindClusterOf(name, state));
  } else {
    const access = await accessAgain(state, choice);
    if (access && (await isOurs(access, state)) === true) await removeFrom(access, state);
  }
  await rm(state, { recursive: true });
  return true;
}

/** The catalogue of an environment on such a cluster, by a port-forward. */
export async function openHostedCatalogue(state: string): Promise<Catalogue> {
  return openCatalogueOf(await openAccess(kubeconfigFile(state)), state);
}

async function openCatalogueOf(access: Access, state: string): Promise<Catalogue> {
  const { host, port, close } = await forwardPort(access, SERVICES_NAMESPACE, POSTGRES, POSTGRES_PORT);
  const catalogue = await connectAsAdministrator(state, { host, port });
  return { ...catalogue, close: () => catalogue.close().finally(close) };
}

async function buildHostedImages(): Promise<{ stack: StackImages; services: ServiceImages }> {
  const debian = await unpackDebianPackages();
  const programs = await buildPrograms(["minio", "mc"]);
  const sources = { directory: join(cacheDirectory(), "images"), programs, debian };
  return step("Building the container images", async (report) => ({
    stack: await buildStackImages(sources, report),
    services: await buildServiceImages(sources, report),
  }));
}

/** File with the chosen cluster's context alone; makes kind's cluster first if that was chosen. */
async function kubeconfigOf(name: string, choice: RecordedChoice, report: Report): Promise<string> {
  const state = stateDirectory(name);
  if (choice.kind === "context") return extractContext(state, choice.context!, choice.kubeconfig);
  await recordChoice(state, choice);
  const cluster = kindClusterOf(name, state);
  await ensureKindCluster(cluster, report);
  return extractContext(state, cluster.context, cluster.kubeconfig);
}

/** A cluster whose nodes were started a moment ago refuses connections at first, and has no ready node then. */
async function untilNodesAreReady(kubeconfig: string, report: Report): Promise<void> {
  report("waiting for its nodes");
  const deadline = Date.now() + KIND_READY_WITHIN_SECONDS * 1000;
  while (Date.now() < deadline) {
    const ready = await openAccess(kubeconfig)
      .then(({ core }) => core.listNode())
      .then(({ items }) => usableNodes(items).length > 0)
      .catch(() => false);
    if (ready) return;
    await sleep(1_000);
  }
  throw new Failure(
    `The cluster that kind made had no ready node after ${KIND_READY_WITHIN_SECONDS} s.`,
    "See docker ps; npm run destroy clears what is there for a new beginning.",
  );
}

/** The usable nodes. One that came up a moment ago repels pods for some seconds more. */
async function nodesOf({ core }: Access, wanted: string | undefined): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const usable = usableNodes((await core.listNode()).items);
    if ((wanted === undefined ? usable.length > 0 : usable.includes(wanted)) || tries === 30) return usable;
    await sleep(1_000);
  }
}

/** The cluster of an earlier start; undefined where its context leads to another one now. */
async function accessAgain(state: string, choice: RecordedChoice): Promise<Access | undefined> {
  const kept = await keptOf(state);
  if (!kept) return undefined;
  // Renewed credentials are in the user's own file; where that is gone, those of the last start may still do.
  const file = await extractContext(state, choice.context!, choice.kubeconfig).catch(() =>
    kubeconfigFile(state),
  );
  const access = await openAccess(file).catch((error: unknown) => {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(
      error.message,
      `Bring the cluster back. If it is gone for good, with all that was in it, remove ${state}.`,
    );
  });
  if (access.identity === kept.identity) return access;
  console.log(`  Context ${choice.context} leads to another cluster now, which is left alone.`);
  return undefined;
}

async function removeFrom(access: Access, state: string): Promise<void> {
  await pauseWorkloads(access);
  const engine = (await readFile(join(state, "engine"), "utf8").catch(() => "")).trim();
  if (engine === "pulumi") {
    await destroyWithEngine({ stack: STACK, stateDirectory: join(state, "pulumi") });
  } else {
    await destroyApplied({ kubeconfig: access.config, systemNamespace: SYSTEM_NAMESPACE });
  }
  const { node, nodeDisks } = (await keptOf(state))!;
  if (nodeDisks !== undefined) await removeNodeDisks(access, node, nodeDisks);
  await destroyApplied({ kubeconfig: access.config, systemNamespace: SERVICES_NAMESPACE });
  // What was killed has made namespaces that are on no list.
  for (const name of [WORKERS_NAMESPACE, SYSTEM_NAMESPACE, SERVICES_NAMESPACE]) {
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
    await access.client.delete(namespace);
    for (let tries = 0; tries < 240 && (await access.client.read(namespace)); tries++) await sleep(500);
  }
}

function refuseAnotherCluster({ context, identity }: Access, kept: Kept | undefined): void {
  if (kept === undefined || kept.identity === identity) return;
  throw new Failure(
    `Context ${context} leads to another cluster than at this environment's first start.`,
    "Give another name to --environment, or run npm run destroy to forget the cluster that was.",
  );
}

async function keptOf(state: string): Promise<Kept | undefined> {
  if (!existsSync(keptFile(state))) return undefined;
  return JSON.parse(await readFile(keptFile(state), "utf8")) as Kept;
}

async function keep(state: string, kept: Kept): Promise<void> {
  await writeWholeFile(keptFile(state), `${JSON.stringify(kept, undefined, 2)}\n`);
}

function keptFile(state: string): string {
  return join(state, "hosted.json");
}

function rulesFile(state: string): string {
  return join(state, "prometheus-rules.json");
}
