import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import type { Catalogue } from "@video-storage/catalogue/connection";

import { requireApt, unpackDebianPackages } from "../build/debian-packages.js";
import type { DebianPrograms } from "../build/debian-packages.js";
import { areBuilt, buildPrograms, requireGo } from "../build/programs.js";
import type { Programs } from "../build/programs.js";
import { needs, requireSpace } from "../build/space.js";
import { recordChoice } from "../cluster-choice.js";
import { run } from "../command.js";
import { serveVideo } from "../demo/source-server.js";
import { inTurn } from "../exclusive.js";
import { Failure } from "../failure.js";
import type { BuiltImage } from "../images/image.js";
import { buildNodeImages, buildStackImages } from "../images/images.js";
import type { NodeImages } from "../images/images.js";
import { cacheDirectory, stateDirectory } from "../paths.js";
import { step } from "../progress.js";
import type { Report } from "../progress.js";
import { POSTGRES_PORT, connectAsAdministrator } from "./administrator.js";
import { CONTEXT, dnsAddress, ensureControlPlane } from "./cluster.js";
import type { Cluster } from "./cluster.js";
import { SLOTS_DIRECTORY, ensureSlots } from "./disks.js";
import type { Slot } from "./disks.js";
import type { Environment } from "./environment.js";
import { ensureNameService } from "./name-service.js";
import { chooseNetwork, connectNetwork, disconnectNetwork, keepNetwork, keptNetwork } from "./network.js";
import type { Network } from "./network.js";
import { PAUSE_IMAGE, ensureNode, waitForNode } from "./node.js";
import type { Node } from "./node.js";
import { importImages, presentImages } from "./node-images.js";
import { keptNodes, nodeDirectory, nodeName } from "./nodes.js";
import { ensurePostgres } from "./postgres.js";
import { ensurePrometheus, loadRules, prometheusUrl } from "./prometheus.js";
import { endSandbox, ensureSandbox, findSandbox } from "./sandbox.js";
import type { Sandbox } from "./sandbox.js";

/** A cluster of our own, with nothing in it yet. */
interface BuiltCluster {
  readonly cluster: Cluster;
  readonly network: Network;
  readonly nodes: readonly Node[];
}

/** Brings an environment up that runs on this machine and nowhere else, with the slots of each of its nodes. */
export async function startBuilt(name: string, slots: readonly (readonly Slot[])[]): Promise<Environment> {
  await requirePrivilege();
  const state = stateDirectory(name);
  await recordChoice(state, { kind: "built" });
  const { debian, programs } = await builds(state);
  const sources = { directory: join(cacheDirectory(), "images"), programs, debian };
  const [images, nodeImages] = await step("Building the container images", async (report) => [
    await buildStackImages(sources, report),
    await buildNodeImages(sources, report),
  ]);
  const built = await startCluster(state, slots, programs, debian);
  const { network, cluster, nodes } = built;
  const { sandbox } = nodes[0]!;
  await step("Loading the images into containerd", (report) =>
    loadImages(state, nodes, nodeImages, Object.values(images), report),
  );
  const database = await step("Starting Postgres", () => ensurePostgres(sandbox, network));
  await step("Starting Prometheus and node-exporter", () =>
    ensurePrometheus(sandbox, network, debian, dnsAddress(network)),
  );
  await nodesReady(built, nodeImages);
  return {
    name,
    stateDirectory: state,
    cluster: { kubeconfig: cluster.kubeconfig, context: CONTEXT },
    nodes: nodes.map((node) => ({ name: node.name, slotsDirectory: SLOTS_DIRECTORY })),
    database,
    images,
    videoSources: [`${network.hostAddress}/32`],
    prometheus: `${prometheusUrl(network)} (from this machine only)`,
    logs: `${state}/logs`,
    openCatalogue: () => openBuiltCatalogue(state),
    serveVideo: (file) => serveVideo(file, network.hostAddress),
    takeRules: (rules) => loadRules(sandbox, network, rules),
  };
}

/** Brings up the cluster alone: no stack, no database, as somebody's own cluster would be. Returns its kubeconfig. */
export async function startBareCluster(name: string): Promise<string> {
  await requirePrivilege();
  const state = stateDirectory(name);
  await recordChoice(state, { kind: "built" });
  const { debian, programs } = await builds(state);
  const sources = { directory: join(cacheDirectory(), "images"), programs, debian };
  const nodeImages = await step("Building the container images", (report) =>
    buildNodeImages(sources, report),
  );
  const built = await startCluster(state, [[]], programs, debian);
  await step("Loading the images into containerd", (report) =>
    loadImages(state, built.nodes, nodeImages, [], report),
  );
  await nodesReady(built, nodeImages);
  return built.cluster.kubeconfig;
}

/** The catalogue of a built environment, as this machine reaches it. */
export async function openBuiltCatalogue(state: string): Promise<Catalogue> {
  const { nodeAddress } = await keptNetwork(state);
  return connectAsAdministrator(state, { host: nodeAddress, port: POSTGRES_PORT });
}

async function builds(state: string): Promise<{ debian: DebianPrograms; programs: Programs }> {
  // Before anything that takes long, whatever of it will be needed.
  const building = !(await areBuilt());
  if (building) await requireGo();
  await requireApt();
  requireSpace(needs(state, building));
  const debian = await unpackDebianPackages();
  return { debian, programs: await buildPrograms() };
}

async function startCluster(
  state: string,
  slots: readonly (readonly Slot[])[],
  programs: Programs,
  debian: DebianPrograms,
): Promise<BuiltCluster> {
  // All at first, so that a start that was cut short is gone on with, with as many nodes.
  for (const index of slots.keys()) await mkdir(nodeDirectory(state, index), { recursive: true });
  const machines = await step("Making the nodes' namespaces, addresses and disks", async () => {
    const made: Machine[] = [];
    for (const [index, own] of slots.entries())
      made.push(await ensureMachine(state, debian, { index, nodes: slots.length, slots: own }));
    return made;
  });
  const { sandbox, network } = machines[0]!;
  const cluster = await step("Starting Kubernetes", (report) =>
    ensureControlPlane({ sandbox, network, programs, debian }, report),
  );
  const nodes = await step("Starting the nodes' containerd and kubelet", async (report) => {
    const started: Node[] = [];
    for (const [index, machine] of machines.entries())
      started.push(await ensureNode({ ...machine, index, stateDirectory: state, programs, debian }, report));
    return started;
  });
  return { cluster, network, nodes };
}

/** A node before anything of Kubernetes runs on it. */
interface Machine {
  readonly sandbox: Sandbox;
  readonly network: Network;
}

async function ensureMachine(
  state: string,
  debian: DebianPrograms,
  { index, nodes, slots }: { index: number; nodes: number; slots: readonly Slot[] },
): Promise<Machine> {
  const tini = await debian.find("tini");
  // Another environment sees that a range is taken once it is routed, and not before.
  const machine = await inTurn("network", async () => {
    const network = await chooseNetwork(state);
    const sandbox = await ensureSandbox(nodeDirectory(state, index), nodeName(index), tini);
    await connectNetwork(network, sandbox, index, nodes);
    await keepNetwork(state);
    return { network, sandbox };
  });
  await ensureSlots(machine.sandbox, slots);
  return machine;
}

/**
 * Brings one node of an environment that was started back to what its start made: its namespaces, addresses and
 * disks, containerd, kubelet and kube-proxy. What still runs is left alone. For node 0 that is not the control plane.
 */
export async function restoreNode(name: string, index: number, slots: readonly Slot[]): Promise<Node> {
  const state = stateDirectory(name);
  const { debian, programs } = await builds(state);
  const nodes = await keptNodes(state);
  const machine = await ensureMachine(state, debian, { index, nodes, slots });
  return ensureNode({ ...machine, index, stateDirectory: state, programs, debian }, () => {});
}

async function nodesReady({ cluster, network, nodes }: BuiltCluster, images: NodeImages): Promise<void> {
  await step(
    nodes.length === 1 ? "Waiting for the node to be ready" : "Waiting for the nodes to be ready",
    async () => {
      for (const { name } of nodes) await waitForNode(cluster, name);
      await ensureNameService(cluster, images.coredns, dnsAddress(network));
    },
  );
}

/** Ends everything that the environment started. What it stored stays. Returns whether anything ran. */
export async function stopBuilt(name: string): Promise<boolean> {
  const state = stateDirectory(name);
  let ran = false;
  // Node 0 last: it has the control plane.
  for (let index = (await keptNodes(state)) - 1; index >= 0; index--) {
    const sandbox = await findSandbox(nodeDirectory(state, index));
    if (sandbox) await endSandbox(sandbox);
    ran ||= sandbox !== undefined;
  }
  await disconnectNetwork(state);
  return ran;
}

/** Stops the environment and removes its state. Returns whether there was any. */
export async function destroyBuilt(name: string): Promise<boolean> {
  const running = await stopBuilt(name);
  const state = stateDirectory(name);
  const kept = existsSync(state);
  // Handed to rm(1): containerd's snapshots hold device nodes and modes that it knows how to remove.
  if (kept) await run("rm", ["-rf", "--one-file-system", state]);
  return running || kept;
}

async function loadImages(
  state: string,
  nodes: readonly Node[],
  nodeImages: NodeImages,
  others: readonly BuiltImage[],
  report: Report,
): Promise<void> {
  const images = [...Object.values(nodeImages), ...others];
  const present = await Promise.all(nodes.map(({ ctr }) => presentImages(ctr)));
  const missing = images.filter(({ reference }) => present.some((of) => !of.has(reference)));
  const lacking = nodes.filter((_, index) =>
    missing.some(({ reference }) => !present[index]!.has(reference)),
  );
  if (missing.length > 0) await importImages(state, lacking, missing, report);
  const { reference: pause } = nodeImages.pause;
  for (const [index, { ctr }] of nodes.entries()) {
    if (present[index]!.has(PAUSE_IMAGE) && present[index]!.has(pause)) continue;
    await ctr(["images", "tag", "--force", pause, PAUSE_IMAGE]);
  }
}

async function requirePrivilege(): Promise<void> {
  if (process.getuid?.() === 0) return;
  throw new Failure(
    "The local environment makes namespaces, mounts and network links, and this user may not.",
    "Run it as root (sudo npm start), or on a cluster that you have: npm start -- --context NAME.",
  );
}
