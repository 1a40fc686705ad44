import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { unpackDebianPackages } from "../build/debian-packages.js";
import { buildPrograms } from "../build/programs.js";
import { run } from "../command.js";
import { Failure } from "../failure.js";
import { buildImages } from "../images/images.js";
import type { LocalImages } from "../images/images.js";
import { PAUSE_IMAGE, dnsAddress, ensureCluster, waitForNode } from "./cluster.js";
import type { Cluster } from "./cluster.js";
import { cacheDirectory, stateDirectory } from "../paths.js";
import { step } from "../progress.js";
import { ensureSlots } from "./disks.js";
import type { Slot } from "./disks.js";
import { ensureNameService } from "./name-service.js";
import { chooseNetwork, connectNetwork, disconnectNetwork } from "./network.js";
import type { Network } from "./network.js";
import { ensurePostgres } from "./postgres.js";
import type { Database } from "./postgres.js";
import { ensurePrometheus } from "./prometheus.js";
import { endSandbox, ensureSandbox, findSandbox } from "./sandbox.js";
import type { Sandbox } from "./sandbox.js";

/** An environment that runs on this machine and nowhere else. */
export interface Environment {
  readonly name: string;
  readonly stateDirectory: string;
  readonly sandbox: Sandbox;
  readonly network: Network;
  readonly cluster: Cluster;
  readonly database: Database;
  readonly images: LocalImages;
}

/**
 * Brings an environment up: builds what is missing, starts what does not run, changes nothing that is
 * already right. Safe to interrupt anywhere and to run again.
 */
export async function startEnvironment(name: string, slots: readonly Slot[]): Promise<Environment> {
  await requirePrivilege();
  const state = stateDirectory(name);
  await mkdir(state, { recursive: true });
  const debian = await unpackDebianPackages();
  const programs = await buildPrograms();
  const images = await step("Building the container images", (report) =>
    buildImages(join(cacheDirectory(), "images"), programs, debian, report),
  );
  const network = await chooseNetwork(state);
  const sandbox = await step("Making the node's namespaces, addresses and disks", async () => {
    const made = await ensureSandbox(state, "node-0", await debian.find("tini"));
    await connectNetwork(network, made);
    await ensureSlots(made, slots);
    return made;
  });
  const parts = { sandbox, network, programs, debian };
  const cluster = await step("Starting Kubernetes", (report) => ensureCluster(parts, report));
  await step("Loading the images into containerd", (report) => loadImages(cluster, images, report));
  const database = await step("Starting Postgres", () => ensurePostgres(sandbox, network));
  await step("Starting Prometheus and node-exporter", () => ensurePrometheus(sandbox, network, debian));
  await step("Waiting for the node to be ready", async () => {
    await waitForNode(cluster);
    await ensureNameService(cluster, images.coredns, dnsAddress(network));
  });
  return { name, stateDirectory: state, sandbox, network, cluster, database, images };
}

/** Ends everything that the environment started. What it stored stays. Returns whether anything ran. */
export async function stopEnvironment(name: string): Promise<boolean> {
  const state = stateDirectory(name);
  const sandbox = await findSandbox(state);
  if (sandbox) await endSandbox(sandbox);
  await disconnectNetwork(state);
  return sandbox !== undefined;
}

/** Stops the environment and removes its state. Returns whether there was any. */
export async function destroyEnvironment(name: string): Promise<boolean> {
  const running = await stopEnvironment(name);
  const state = stateDirectory(name);
  const kept = existsSync(state);
  // Handed to rm(1): containerd's snapshots hold device nodes and modes that it knows how to remove.
  if (kept) await run("rm", ["-rf", "--one-file-system", state]);
  return running || kept;
}

async function loadImages(
  cluster: Cluster,
  images: LocalImages,
  report: (detail: string) => void,
): Promise<void> {
  const present = new Set((await cluster.ctr(["images", "list", "--quiet"])).split("\n"));
  for (const image of Object.values(images)) {
    if (present.has(image.reference)) continue;
    report(image.name);
    await cluster.ctr(["images", "import", "--local", image.archive]);
  }
  if (!present.has(PAUSE_IMAGE) || !present.has(images.pause.reference)) {
    await cluster.ctr(["images", "tag", "--force", images.pause.reference, PAUSE_IMAGE]);
  }
}

async function requirePrivilege(): Promise<void> {
  if (process.getuid?.() === 0) return;
  throw new Failure(
    "The local environment makes namespaces, mounts and network links, and this user may not.",
    "Run it as root (sudo npm start), or on a cluster that you have: npm start -- --context NAME.",
  );
}
