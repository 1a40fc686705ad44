// Runs in a placement pod, as text: waits until every group of its pool lies on a node of its own, and only
// then ends, so that while groups are being placed the scheduler sees all of them. Ends with 1 and the reason
// when two groups lie on one node, or one on several.
import { readFileSync } from "node:fs";
import { request } from "node:https";

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const SELECTED_NODE = "volume.kubernetes.io/selected-node";
const {
  NAMESPACE,
  POOL_LABEL,
  GROUP_LABEL,
  POOL,
  GROUPS,
  API_SERVER,
  KUBERNETES_SERVICE_HOST,
  ...environment
} = process.env;
const server = API_SERVER ?? `https://${KUBERNETES_SERVICE_HOST}:${environment.KUBERNETES_SERVICE_PORT}`;
const account = environment.ACCOUNT_DIRECTORY ?? ACCOUNT;

/** The pool's claims, or undefined where the API server doesn't answer now. */
function claims() {
  const selector = encodeURIComponent(`${POOL_LABEL}=${POOL}`);
  const url = `${server}/api/v1/namespaces/${NAMESPACE}/persistentvolumeclaims?labelSelector=${selector}`;
  return new Promise((resolve) => {
    const options = {
      ca: readFileSync(`${account}/ca.crt`),
      // Read anew, because the kubelet renews it.
      headers: { authorization: `Bearer ${readFileSync(`${account}/token`, "utf8")}` },
      timeout: 10_000,
    };
    const call = request(url, options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve(
          response.statusCode === 200
            ? JSON.parse(text).items
            : say(`the API server says ${response.statusCode}`),
        );
      });
    });
    call.on("timeout", () => call.destroy(new Error("no answer in 10 s")));
    call.on("error", (error) => resolve(say(`the API server can't be asked: ${error.message}`)));
    call.end();
  });
}

function say(message) {
  console.log(JSON.stringify({ event: "placement", pool: POOL, message }));
}

function fail(message) {
  say(message);
  process.exit(1);
}

let before;
for (;;) {
  const items = await claims();
  const nodesOf = new Map();
  for (const { metadata, status } of items ?? []) {
    const group = metadata.labels[GROUP_LABEL];
    const node = status?.phase === "Bound" ? metadata.annotations?.[SELECTED_NODE] : undefined;
    nodesOf.set(group, [...(nodesOf.get(group) ?? []), node]);
  }
  const groupsOn = new Map();
  for (const [group, nodes] of nodesOf) {
    const known = [...new Set(nodes.filter((node) => node !== undefined))];
    if (known.length > 1)
      fail(
        `group ${group} lies on several nodes (${known.join(", ")}); delete its unused claims and run the stack again`,
      );
    if (known.length === 1) groupsOn.set(known[0], [...(groupsOn.get(known[0]) ?? []), group]);
  }
  for (const [node, groups] of groupsOn) {
    if (groups.length > 1)
      fail(
        `groups ${groups.sort().join(" and ")} lie on one node, ${node}, which so has more slots than slotsPerNode; delete the claims of one that are unused and run the stack again`,
      );
  }
  const placed = [...nodesOf.values()].filter((nodes) => nodes.every((node) => node !== undefined)).length;
  const message = `${placed} of ${GROUPS} groups are on a node`;
  if (items && message !== before) say((before = message));
  if (placed >= Number(GROUPS)) process.exit(0);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
}
