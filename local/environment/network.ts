import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { must, run } from "../command.js";
import { Failure } from "../failure.js";
import { fingerprint } from "../paths.js";
import { writeWholeFile } from "../whole-file.js";
import type { Sandbox } from "./sandbox.js";

/**
 * The environment's own addresses: a /16 that exists only between this machine and the sandbox. The
 * sandbox has no default route, so nothing in it can reach anything else.
 */
export interface Network {
  readonly bridge: string;
  /** This machine, as the sandboxes see it. */
  readonly hostAddress: string;
  /** Node 0: API server, Postgres and Prometheus listen here. */
  readonly nodeAddress: string;
  /** The pods of all nodes. */
  readonly podsRange: string;
  readonly serviceRange: string;
  readonly range: string;
}

/** What of the network is one node's own. */
export interface NodeNetwork {
  /** This machine's end of the node's link. */
  readonly link: string;
  readonly address: string;
  readonly podRange: string;
}

const FIRST_CHOICE = 231;
const LAST_CHOICE = 250;

export function networkOf(stateDirectory: string, second: number): Network {
  return {
    bridge: `vs${fingerprint(stateDirectory).slice(0, 10)}`,
    hostAddress: `10.${second}.0.1`,
    nodeAddress: `10.${second}.0.2`,
    podsRange: `10.${second}.16.0/20`,
    serviceRange: `10.${second}.32.0/20`,
    range: `10.${second}.0.0/16`,
  };
}

/** The part of one node, counted from 0. */
export function nodeNetworkOf({ bridge, range }: Network, index: number): NodeNetwork {
  const [first, second] = range.split(".");
  return {
    link: `${bridge}n${index === 0 ? "" : index}`,
    address: `${first}.${second}.0.${2 + index}`,
    podRange: `${first}.${second}.${16 + index}.0/24`,
  };
}

/** What an environment has noted of its network. */
interface Choice {
  readonly second: number;
  /** Whether it was ever routed, so that something may have been made with it; not where the start was killed before. */
  readonly used: boolean;
}

/** The environment's network; chosen once, where no route of this machine leads, and kept from when it is used. */
export async function chooseNetwork(stateDirectory: string): Promise<Network> {
  const kept = await keptChoice(stateDirectory);
  const routes = JSON.parse(await must("ip", ["-json", "-4", "route"])) as Route[];
  const second = secondOctetFor(kept, routedSecondOctets(routes, networkOf(stateDirectory, 0).bridge));
  if (second !== kept?.second) await keepChoice(stateDirectory, { second, used: false });
  return networkOf(stateDirectory, second);
}

/** Notes that the network is routed now: from here on the environment cannot move to another. */
export async function keepNetwork(stateDirectory: string): Promise<void> {
  const kept = await keptChoice(stateDirectory);
  if (kept && !kept.used) await keepChoice(stateDirectory, { ...kept, used: true });
}

/** The network that an environment was started with. */
export async function keptNetwork(stateDirectory: string): Promise<Network> {
  const kept = await keptChoice(stateDirectory);
  if (kept !== undefined) return networkOf(stateDirectory, kept.second);
  throw new Failure("This environment was never started.", "Run npm start first.");
}

/** The N of 10.N.0.0/16 that an environment is to have. Throws {@link Failure} where there is none for it. */
export function secondOctetFor(kept: Choice | undefined, taken: ReadonlySet<number>): number {
  if (kept && !taken.has(kept.second)) return kept.second;
  if (kept?.used) {
    // Its Services have addresses of the range, so it cannot move to another.
    throw new Failure(
      `10.${kept.second}.0.0/16, which this environment was made with, is now routed elsewhere on this machine.`,
      "Free it (ip route), or run npm run destroy and start anew.",
    );
  }
  for (let second = FIRST_CHOICE; second <= LAST_CHOICE; second++) if (!taken.has(second)) return second;
  throw new Failure(
    `Every range from 10.${FIRST_CHOICE}.0.0/16 to 10.${LAST_CHOICE}.0.0/16 is routed elsewhere on this machine.`,
    "Free one of them (ip route), or use a cluster that you have: npm start -- --context NAME.",
  );
}

async function keptChoice(stateDirectory: string): Promise<Choice | undefined> {
  const text = await readFile(fileOf(stateDirectory), "utf8").catch(() => undefined);
  return text === undefined ? undefined : { used: true, ...(JSON.parse(text) as { second: number }) };
}

async function keepChoice(stateDirectory: string, choice: Choice): Promise<void> {
  await mkdir(stateDirectory, { recursive: true });
  await writeWholeFile(fileOf(stateDirectory), `${JSON.stringify(choice)}\n`);
}

function fileOf(stateDirectory: string): string {
  return join(stateDirectory, "network.json");
}

/** A route as iproute2 prints it. */
export interface Route {
  readonly dst: string;
  readonly dev?: string;
}

/** Every N such that a route leads to some of 10.N.0.0/16, but those of one device. */
export function routedSecondOctets(routes: readonly Route[], except: string): Set<number> {
  const taken = new Set<number>();
  for (const { dst, dev } of routes) {
    const match = /^10\.(\d+)\.\d+\.\d+(?:\/(\d+))?$/.exec(dst);
    if (!match || dev === except) continue;
    const width = 2 ** Math.max(0, 16 - Number(match[2] ?? 32));
    for (let i = 0; i < width; i++) taken.add(Number(match[1]) + i);
  }
  return taken;
}

/** Joins a node's sandbox to this machine and to the other nodes. Doing it again changes nothing. */
export async function connectNetwork(
  network: Network,
  sandbox: Sandbox,
  index: number,
  nodes: number,
): Promise<void> {
  const { bridge, hostAddress, serviceRange } = network;
  const { link, address, podRange } = nodeNetworkOf(network, index);
  if ((await run("ip", ["link", "show", bridge])).code !== 0)
    await must("ip", ["link", "add", bridge, "type", "bridge"]);
  await ip(must, [`address replace ${hostAddress}/24 dev ${bridge}`, `link set ${bridge} up`]);
  if ((await sandbox.run("ip", ["link", "show", "eth0"])).code !== 0) {
    await run("ip", ["link", "delete", link]);
    await must("ip", [
      "link",
      "add",
      link,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      String(sandbox.pid),
    ]);
  }
  const ranges = index === 0 ? [podRange, serviceRange] : [podRange];
  await ip(must, [
    `link set ${link} master ${bridge} up`,
    ...ranges.map((range) => `route replace ${range} via ${address} dev ${bridge}`),
  ]);
  const others = Array.from({ length: nodes }, (_, other) => nodeNetworkOf(network, other));
  await ip(sandbox.must, [
    `address replace ${address}/24 dev eth0`,
    "link set eth0 up",
    ...others
      .filter((_, other) => other !== index)
      .map((other) => `route replace ${other.podRange} via ${other.address} dev eth0`),
  ]);
  await sandbox.must("sh", ["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
}

/** Several commands of iproute2 by one process, up to the first that fails. */
async function ip(where: typeof must, commands: readonly string[]): Promise<void> {
  await where("ip", ["-batch", "-"], { input: commands.map((command) => `${command}\n`).join("") });
}

/** Removes what {@link connectNetwork} made on this machine. */
export async function disconnectNetwork(stateDirectory: string): Promise<void> {
  const { bridge } = networkOf(stateDirectory, 0);
  if ((await run("ip", ["link", "show", bridge])).code === 0) await must("ip", ["link", "delete", bridge]);
}
