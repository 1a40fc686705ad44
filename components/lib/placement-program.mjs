// Runs in a placement pod, as text: waits until every group of its pool lies on a node of its own, and only
// then ends, so that while groups are being placed the scheduler sees all of them. Ends with 1 and the reason
// when two groups lie on one node, or one on several.
//
// The scheduler writes the node on a claim whose volume is to be made. On one that it binds to a volume that is
// there (volumebinding/binder.go, AssumePodVolumes) it doesn't, and the volume tells.
import { readFileSync } from "node:fs";
import { request } from "node:https";

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const SELECTED_NODE = "volume.kubernetes.io/selected-node";
const {
  NAMESPACE,
  POOL_LABEL,
  GROUP_LABEL,
  NODE_LABEL,
  POOL,
  GROUPS,
  API_SERVER,
  KUBERNETES_SERVICE_HOST,
  ...environment
} = process.env;
const server = API_SERVER ?? `https://${KUBERNETES_SERVICE_HOST}:${environment.KUBERNETES_SERVICE_PORT}`;
const account = environment.ACCOUNT_DIRECTORY ?? ACCOUNT;

/** The pool's claims or volumes, or undefined where the API server doesn't answer now. */
function ofPool(path) {
  const selector = encodeURIComponent(`${POOL_LABEL}=${POOL}`);
  const url = `${server}/api/v1/${path}?labelSelector=${selector}`;
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

/** The node of each volume that an agent has made for the pool, if one of the claims needs it. */
async function nodesOfVolumes(claims) {
  if (claims.every((claim) => !isBound(claim) || selectedNode(claim) !== undefined)) return new Map();
  const volumes = (await ofPool("persistentvolumes")) ?? [];
  return new Map(volumes.map(({ metadata }) => [metadata.name, metadata.labels[NODE_LABEL]]));
}

const isBound = ({ status }) => status?.phase === "Bound";
const selectedNode = ({ metadata }) => metadata.annotations?.[SELECTED_NODE];

let before;
for (;;) {
  const items = await ofPool(`namespaces/${NAMESPACE}/persistentvolumeclaims`);
  const volumes = await nodesOfVolumes(items ?? []);
  const nodesOf = new Map();
  for (const claim of items ?? []) {
    const group = claim.metadata.labels[GROUP_LABEL];
    const node = isBound(claim) ? (selectedNode(claim) ?? volumes.get(claim.spec.volumeName)) : undefined;
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
