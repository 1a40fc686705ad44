import { dirname } from "node:path";

import { SLOT_MOUNT_OPTIONS, slotInodes } from "@video-storage/contract/slot-filesystem";

import { ClusterError } from "../../../infra/apply/cluster-client.js";
import { Failure } from "../../failure.js";
import type { Slot } from "../disks.js";
import type { Access } from "./access.js";
import {
  HOSTED_SLOTS_DIRECTORY,
  NODE_DIRECTORY,
  POSTGRES_DIRECTORY,
  SERVICES_NAMESPACE,
  SERVICE_USER,
} from "./names.js";
import { HOSTNAME_LABEL } from "./nodes.js";
import { hasEnded, runPod } from "./pods.js";

/** Device nodes are made in the container alone: its /dev is a copy of the node's from before the loop devices. */
const LOOP_DEVICES = `
for number in $(seq 0 255); do
  [ -e /dev/loop$number ] || mknod -m 0660 /dev/loop$number b 7 $number
done`;

/** As local/environment/disks.ts does it on a node of our own. Arguments, six a slot: name bytes uid gid mode inodes. */
const MAKE = `set -eu
${LOOP_DEVICES}
mkdir -p ${HOSTED_SLOTS_DIRECTORY} ${NODE_DIRECTORY}
chmod 711 ${NODE_DIRECTORY}
mkdir -p -m 700 ${NODE_DIRECTORY}/${POSTGRES_DIRECTORY} ${NODE_DIRECTORY}/disks
chown ${SERVICE_USER}:${SERVICE_USER} ${NODE_DIRECTORY}/${POSTGRES_DIRECTORY}
while [ $# -gt 0 ]; do
  file=${NODE_DIRECTORY}/disks/$1.ext4 target=${HOSTED_SLOTS_DIRECTORY}/$1
  if [ ! -e $file ]; then
    rm -f $file.partial; truncate -s $2 $file.partial
    mkfs.ext4 -q -F -m 0 -N $6 -E root_owner=$3:$4 $file.partial; mv $file.partial $file
  fi
  # Where the slot is not mounted, after a restart of the node, nobody but root writes in its place.
  [ -d $target ] || mkdir -m 700 $target
  if ! mountpoint -q $target; then
    mount -o loop,${SLOT_MOUNT_OPTIONS.join()} $file $target
    chmod $5 $target; rmdir $target/lost+found 2>/dev/null || true
  fi
  shift 6
done`;

const REMOVE = `set -eu
for target in ${HOSTED_SLOTS_DIRECTORY}/*; do
  [ -d $target ] || continue
  while mountpoint -q $target; do umount $target; done
  rmdir $target
done
rm -rf ${NODE_DIRECTORY}
[ ! -d ${HOSTED_SLOTS_DIRECTORY} ] || rmdir ${HOSTED_SLOTS_DIRECTORY}`;

/** What the privileged pod is about to do, for the user of somebody's own cluster to know beforehand. */
export function disksNotice(node: string, slots: readonly Slot[]): string {
  return (
    `  To make the ${slots.length} slots, one privileged pod runs on node ${node} for a moment: it makes files of a fixed\n` +
    `  size below ${NODE_DIRECTORY} and mounts them below ${HOSTED_SLOTS_DIRECTORY}; npm run destroy undoes that.`
  );
}

/** Makes and mounts the slots on the node, and the directory for the database. What is there stays as it is. */
export async function ensureNodeDisks(
  access: Access,
  node: string,
  image: string,
  slots: readonly Slot[],
): Promise<void> {
  const args = slots.flatMap(({ name, bytes, uid, gid, mode }) => [
    name,
    ...[bytes, uid, gid].map(String),
    mode.toString(8),
    String(slotInodes(bytes)),
  ]);
  await runPrivileged(access, "make-disks", node, image, [MAKE, "make-disks", ...args]);
}

/** Unmounts the slots and removes their files and the database's. Nothing may use them any more. */
export async function removeNodeDisks(access: Access, node: string, image: string): Promise<void> {
  await runPrivileged(access, "remove-disks", node, image, [REMOVE]);
}

async function runPrivileged(
  access: Access,
  name: string,
  node: string,
  image: string,
  script: readonly string[],
): Promise<void> {
  // Their parents, so that they themselves can be removed.
  const [files, slots] = [dirname(NODE_DIRECTORY), dirname(HOSTED_SLOTS_DIRECTORY)];
  const directory = (path: string) => ({ hostPath: { path, type: "DirectoryOrCreate" } });
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: SERVICES_NAMESPACE },
    spec: {
      nodeSelector: { [HOSTNAME_LABEL]: node },
      restartPolicy: "Never",
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      volumes: [
        { name: "files", ...directory(files) },
        { name: "slots", ...directory(slots) },
      ],
      containers: [
        {
          name,
          image,
          imagePullPolicy: "IfNotPresent",
          command: ["/bin/sh", "-c"],
          args: [...script],
          securityContext: { privileged: true, runAsUser: 0 },
          volumeMounts: [
            { name: "files", mountPath: files },
            // What is mounted in here is to be seen on the node.
            { name: "slots", mountPath: slots, mountPropagation: "Bidirectional" },
          ],
        },
      ],
    },
  };
  const ended = await runPod(access, pod, hasEnded, 180).catch((error: unknown) => {
    if (!(error instanceof ClusterError) || (error.status !== 403 && error.status !== 422)) throw error;
    throw new Failure(
      `The cluster of context ${access.context} refuses a privileged pod: ${error.message}`,
      "The slots are made by one; allow it in namespace " + SERVICES_NAMESPACE + ", or use another cluster.",
    );
  });
  if (ended.pod.status?.phase === "Succeeded") return;
  const said = ended.log || ended.pod.status?.message || "it said nothing";
  throw new Failure(
    `Pod ${name} could not do its work on node ${node}: ${said}`,
    "It needs loop devices and ext4 in the node's kernel, and room below " + NODE_DIRECTORY + ".",
  );
}
