import { addressRange, isEverywhere, reaches } from "../../addresses";
import type { ResourceRule } from "../../model";
import { at, isSet, kindOf, objects, texts } from "../../model";
import { selectsAll } from "../../selectors";

/** Where AWS's metadata service is, and the range to leave out so that it isn't reached. Other clouds have the first too. */
const METADATA_SERVICE: Readonly<Record<string, string>> = {
  "169.254.169.254": "169.254.0.0/16",
  "fd00:ec2::254": "fd00:ec2::/32",
};

export const openingNarrow: ResourceRule = {
  name: "opening-narrow",
  subject: "network",
  description:
    "A policy's openings name peers, and ports unless the peers are certain addresses, and none leads to the cloud's metadata service, which hands out the node's rights.",
  level: "mandatory",
  severity: "high",
  appliesTo: (resource) => kindOf(resource) === "NetworkPolicy",
  check: ({ props }) => [...openings(props, "ingress", "from"), ...openings(props, "egress", "to")],
};

function openings(props: Record<string, unknown>, direction: string, peersField: string): string[] {
  return objects(at(props, "spec", direction)).flatMap((rule, index) => {
    const peers = objects(rule[peersField]);
    const problems = peers.flatMap((peer) => peerProblems(peer, direction));
    if (peers.length === 0)
      problems.push(`it has no ${peersField}, so it is open to everybody; name the peers`);
    const ports = objects(rule["ports"]);
    // Whoever may be reached at addresses that were written down may be reached at any port of theirs.
    const addressed = peers.length > 0 && peers.every(isAddressed);
    if (!addressed && (ports.length === 0 || ports.some((port) => !isSet(port["port"]))))
      problems.push("it has no ports, so all are open; name them");
    return problems.map((problem) => `${direction} ${index + 1}: ${problem}`);
  });
}

function isAddressed(peer: Record<string, unknown>): boolean {
  const block = at(peer, "ipBlock");
  const range = addressRange(String(at(block, "cidr")));
  return isSet(block) && !(range && isEverywhere(range));
}

function peerProblems(peer: Record<string, unknown>, direction: string): string[] {
  const cidr = at(peer, "ipBlock", "cidr");
  if (typeof cidr === "string") return rangeProblems(cidr, texts(at(peer, "ipBlock", "except")), direction);
  const [namespaces, pods] = [at(peer, "namespaceSelector"), at(peer, "podSelector")];
  return selectsAll(namespaces) && (!isSet(pods) || selectsAll(pods))
    ? ["it is open to every pod of every namespace; name the namespaces"]
    : [];
}

function rangeProblems(cidr: string, except: readonly string[], direction: string): string[] {
  const range = addressRange(cidr);
  if (!range) return [`${cidr} is no range of addresses; write one such as 10.0.0.0/8`];
  const holes = except.map(addressRange).filter((hole) => hole !== undefined);
  const problems = Object.entries(METADATA_SERVICE)
    .filter(([address]) => reaches(range, address) && !holes.some((hole) => reaches(hole, address)))
    .map(([address, hole]) => `${cidr} reaches ${address}; add ${hole} to ipBlock.except`);
  if (direction === "ingress" && isEverywhere(range)) problems.push(`it lets in ${cidr}; name the peers`);
  return problems;
}
