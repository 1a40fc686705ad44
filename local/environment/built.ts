import { existsSync } from "node:fs";
import { join } from "node:path";

import type { Catalogue } from "@video-storage/catalogue/connection";

import { requireApt, unpackDebianPackages } from "../build/debian-packages.js";
import type { DebianPrograms } from "../build/debian-packages.js";
import { buildPrograms, requireGo } from "../build/programs.js";
import type { Programs } from "../build/programs.js";
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
import { POSTGRES_PORT, connectAsAdministrator } from "./administrator.js";
import { CONTEXT, NODE_NAME, PAUSE_IMAGE, dnsAddress, ensureCluster, waitForNode } from "./cluster.js";
import type { Cluster } from "./cluster.js";
import { SLOTS_DIRECTORY, ensureSlots } from "./disks.js";
import type { Slot } from "./disks.js";
import type { Environment } from "./environment.js";
import { ensureNameService } from "./name-service.js";
import { chooseNetwork, connectNetwork, disconnectNetwork, keptNetwork } from "./network.js";
import type { Network } from "./network.js";
import { ensurePostgres } from "./postgres.js";
import { ensurePrometheus, loadRules, prometheusUrl } from "./prometheus.js";
import { endSandbox, ensureSandbox, findSandbox } from "./sandbox.js";
import type { Sandbox } from "./sandbox.js";

/** A cluster of our own, with nothing in it yet. */
interface Node {
  readonly debian: DebianPrograms;
  readonly sandbox: Sandbox;
  readonly network: Network;
  readonly cluster: Cluster;
}

/** Brings an environment up that runs on this machine and nowhere else. */
export async function startBuilt(name: string, slots: readonly Slot[]): Promise<Environment> {
  await requirePrivilege();
  const state = stateDirectory(name);
  await recordChoice(state, { kind: "built" });
  const { debian, programs } = await builds();
  const sources = { directory: join(cacheDirectory(), "images"), programs, debian };
  const [images, nodeImages] = await step("Building the container images", async (report) => [
    await buildStackImages(sources, report),
    await buildNodeImages(sources, report),
  ]);
  const node = await startNode(state, slots, programs, debian);
  const { sandbox, network, cluster } = node;
  await step("Loading the images into containerd", (report) =>
    loadImages(cluster, nodeImages, Object.values(images), report),
  );
  const database = await step("Starting Postgres", () => ensurePostgres(sandbox, network));
  await step("Starting Prometheus and node-exporter", () =>
    ensurePrometheus(sandbox, network, debian, cluster.kubeconfig),
  );
  await nodeReady(node, nodeImages);
  return {
    name,
    stateDirectory: state,
    cluster: { kubeconfig: cluster.kubeconfig, context: CONTEXT },
    node: { name: NODE_NAME, slotsDirectory: SLOTS_DIRECTORY },
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
  const { debian, programs } = await builds();
  const sources = { directory: join(cacheDirectory(), "images"), programs, debian };
  const nodeImages = await step("Building the container images", (report) =>
    buildNodeImages(sources, report),
  );
  const node = await startNode(state, [], programs, debian);
  await step("Loading the images into containerd", (report) =>
    loadImages(node.cluster, nodeImages, [], report),
  );
  await nodeReady(node, nodeImages);
  return node.cluster.kubeconfig;
}

/** The catalogue of a built environment, as this machine reaches it. */
export async function openBuiltCatalogue(state: string): Promise<Catalogue> {
  const { nodeAddress } = await keptNetwork(state);
  return connectAsAdministrator(state, { host: nodeAddress, port: POSTGRES_PORT });
}

async function builds(): Promise<{ debian: DebianPrograms; programs: Programs }> {
  // Before anything that takes long, whatever of it will be needed.
  await requireGo();
  await requireApt();
  const debian = await unpackDebianPackages();
  return { debian, programs: await buildPrograms() };
}

async function startNode(
  state: string,
  slots: readonly Slot[],
  programs: Programs,
  debian: DebianPrograms,
): Promise<Node> {
  const tini = await debian.find("tini");
  const { network, sandbox } = await step("Making the node's namespaces, addresses and disks", async () => {
    // Another environment sees that a range is taken once it is routed, and not before.
    const connected = await inTurn("network", async () => {
      const network = await chooseNetwork(state);
      const sandbox = await ensureSandbox(state, NODE_NAME, tini);
      await connectNetwork(network, sandbox);
      return { network, sandbox };
    });
    await ensureSlots(connected.sandbox, slots);
    return connected;
  });
  const parts = { sandbox, network, programs, debian };
  const cluster = await step("Starting Kubernetes", (report) => ensureCluster(parts, report));
  return { debian, sandbox, network, cluster };
}

async function nodeReady({ cluster, network }: Node, images: NodeImages): Promise<void> {
  await step("Waiting for the node to be ready", async () => {
    await waitForNode(cluster);
    await ensureNameService(cluster, images.coredns, dnsAddress(network));
  });
}

/** Ends everything that the environment started. What it stored stays. Returns whether anything ran. */
export async function stopBuilt(name: string): Promise<boolean> {
  const state = stateDirectory(name);
  const sandbox = await findSandbox(state);
  if (sandbox) await endSandbox(sandbox);
  await disconnectNetwork(state);
  return sandbox !== undefined;
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
  cluster: Cluster,
  nodeImages: NodeImages,
  others: readonly BuiltImage[],
  report: (detail: string) => void,
): Promise<void> {
  const present = new Set((await cluster.ctr(["images", "list", "--quiet"])).split("\n"));
  for (const image of [...Object.values(nodeImages), ...others]) {
    if (present.has(image.reference)) continue;
    report(image.name);
    await cluster.ctr(["images", "import", "--local", image.archive]);
  }
  if (!present.has(PAUSE_IMAGE) || !present.has(nodeImages.pause.reference)) {
    await cluster.ctr(["images", "tag", "--force", nodeImages.pause.reference, PAUSE_IMAGE]);
  }
}

async function requirePrivilege(): Promise<void> {
  if (process.getuid?.() === 0) return;
  throw new Failure(
    "The local environment makes namespaces, mounts and network links, and this user may not.",
    "Run it as root (sudo npm start), or on a cluster that you have: npm start -- --context NAME.",
  );
}
