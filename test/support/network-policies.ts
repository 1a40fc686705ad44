import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { join } from "node:path";

import { buildPrograms } from "../../local/build/programs.js";

/** A pod, or where `pod` is missing something outside the cluster. */
export interface Peer {
  readonly name: string;
  readonly ip: string;
  readonly pod?: {
    readonly namespace: string;
    readonly namespaceLabels: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  };
}

interface Port {
  readonly protocol: string;
  readonly port: number;
}

interface Policy {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly spec?: unknown;
}

/** No policy mentions it, so it stands for every port that none does. */
const ANY_OTHER_PORT = 31_337;
const PROTOCOLS = ["TCP", "UDP", "SCTP"] as const;

/**
 * What policies allow between every two peers of which one at least is a pod, by the rules of Cyclonus: for
 * each pair the open ports, `PROTOCOL PORT`, or `everything`. What is allowed changes only at ports that some
 * policy mentions, so those and one more, in every protocol, are all ports.
 */
export async function allowedTraffic(
  policies: readonly Policy[],
  peers: readonly Peer[],
): Promise<Record<string, string>> {
  const mentioned = JSON.stringify(policies).matchAll(/"port":(\d+)/g);
  const numbers = [...new Set([...mentioned].map((match) => Number(match[1])))].sort((a, b) => a - b);
  const ports: Port[] = PROTOCOLS.flatMap((protocol) =>
    [...numbers, ANY_OTHER_PORT].map((port) => ({ protocol, port })),
  );
  const traffic = peers.flatMap((source) =>
    peers
      .filter((destination) => destination !== source && (source.pod || destination.pod))
      .flatMap((destination) => ports.map((port) => ({ source, destination, ...port }))),
  );
  const allowed = await evaluate({ policies, traffic });
  const open = new Map<string, string[]>();
  for (const [index, { source, destination, protocol, port }] of traffic.entries()) {
    const pair = `${source.name} > ${destination.name}`;
    if (allowed[index]) open.set(pair, [...(open.get(pair) ?? []), `${protocol} ${port}`]);
  }
  const shown = [...open].map(([pair, list]) => [
    pair,
    list.length === ports.length ? "everything" : list.join(", "),
  ]);
  return Object.fromEntries(shown) as Record<string, string>;
}

async function evaluate(question: { policies: unknown; traffic: unknown }): Promise<boolean[]> {
  const { "network-policies": directory } = await buildPrograms(["network-policies"]);
  const program = spawn(join(directory!, "network-policies"), { stdio: ["pipe", "pipe", "inherit"] });
  const answer = text(program.stdout);
  program.stdin.end(JSON.stringify(question));
  return JSON.parse(await answer) as boolean[];
}
