import type { ResourceRule } from "../../model";
import { at, kindOf, objects, texts } from "../../model";

const METADATA_SERVICE = "169.254.169.254";
const EVERYWHERE = ["0.0.0.0/0", "::/0"];

export const openingNarrow: ResourceRule = {
  name: "opening-narrow",
  subject: "network",
  description:
    "A policy's openings name peers and ports, and none leads to the cloud's metadata service, which hands out the node's rights.",
  level: "mandatory",
  severity: "high",
  appliesTo: (resource) => kindOf(resource) === "NetworkPolicy",
  check: ({ props }) => [...openings(props, "ingress", "from"), ...openings(props, "egress", "to")],
};

function openings(props: Record<string, unknown>, direction: string, peersField: string): string[] {
  return objects(at(props, "spec", direction)).flatMap((rule, index) => {
    const where = `${direction} ${index + 1}`;
    const peers = objects(rule[peersField]);
    const problems: string[] = [];
    if (peers.length === 0)
      problems.push(`${where}: it has no ${peersField}, so it is open to everybody; name the peers`);
    // Whoever may be reached at addresses that were written down may be reached at any port of theirs.
    const addressed = peers.length > 0 && peers.every((peer) => peer["ipBlock"] !== undefined);
    if (!addressed && objects(rule["ports"]).length === 0)
      problems.push(`${where}: it has no ports, so all are open; name them`);
    for (const peer of peers) {
      const cidr = at(peer, "ipBlock", "cidr");
      if (typeof cidr === "string" && reaches(cidr, METADATA_SERVICE)) {
        const excepted = texts(at(peer, "ipBlock", "except")).some((range) =>
          reaches(range, METADATA_SERVICE),
        );
        if (!excepted) {
          problems.push(
            `${where}: ${cidr} reaches ${METADATA_SERVICE}; add 169.254.0.0/16 to ipBlock.except`,
          );
        }
      }
      if (direction === "ingress" && EVERYWHERE.includes(String(cidr))) {
        problems.push(`${where}: it lets in ${String(cidr)}; name the peers`);
      }
      const selector = at(peer, "namespaceSelector");
      const allNamespaces = selector !== undefined && Object.keys(selector as object).length === 0;
      if (allNamespaces && at(peer, "podSelector") === undefined) {
        problems.push(`${where}: it is open to every pod of every namespace; name the namespaces`);
      }
    }
    return problems;
  });
}

/** Whether an IPv4 range holds an address. False for what is no such range. */
function reaches(range: string, address: string): boolean {
  const [base = "", bits = "32"] = range.split("/");
  const [from, to] = [ipv4(base), ipv4(address)];
  if (from === undefined || to === undefined) return false;
  const shift = 32n - BigInt(bits);
  return from >> shift === to >> shift;
}

function ipv4(address: string): bigint | undefined {
  const parts = address.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}
