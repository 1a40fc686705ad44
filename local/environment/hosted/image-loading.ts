import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { V1ContainerStatus, V1Pod } from "@kubernetes/client-node";

import { must } from "../../command.js";
import { Failure } from "../../failure.js";
import { writeArchive } from "../../images/image.js";
import type { BuiltImage } from "../../images/image.js";
import type { Access } from "./access.js";
import { SERVICES_NAMESPACE } from "./names.js";
import { HOSTNAME_LABEL } from "./nodes.js";
import { runPod } from "./pods.js";

/** Brings one OCI archive to every node of a cluster. */
export type ImageLoader = (archive: string) => Promise<void>;

const KIND_CONTEXT = "kind-";

/**
 * How images reach the nodes: the user's own command, or kind's for a context that kind has named. Throws
 * {@link Failure} where neither is there, or the command doesn't say where the archive's path goes.
 */
export function imageLoaderFor(context: string, command: string | undefined): ImageLoader {
  if (command !== undefined) {
    if (!command.includes("{}")) {
      throw new Failure(
        `--image-loader '${command}' has no {} for the path of the archive.`,
        "Write for example: --image-loader 'minikube image load {}'",
      );
    }
    return async (archive) => {
      await must("sh", ["-c", command.replaceAll("{}", quoted(archive))]);
    };
  }
  if (context.startsWith(KIND_CONTEXT)) {
    const name = context.slice(KIND_CONTEXT.length);
    return async (archive) => {
      await must("kind", ["load", "image-archive", "--name", name, archive]);
    };
  }
  throw new Failure(
    `The images are built here, and nothing says how they reach the nodes of context ${context}.`,
    "Give --image-loader a command that imports the OCI archive {} into every node's container runtime, such as 'minikube image load {}'.",
  );
}

/**
 * Brings to the nodes what their runtime doesn't find under the reference that the stack uses. Throws
 * {@link Failure} where that is so even after loading.
 */
export async function ensureImages(
  access: Access,
  nodes: readonly string[],
  images: readonly BuiltImage[],
  load: ImageLoader,
  report: (detail: string) => void,
): Promise<void> {
  report("asking the nodes which they have");
  const missing = await missingOn(access, nodes, images);
  if (missing.length === 0) return;
  const directory = await mkdtemp(join(tmpdir(), "video-storage-images-"));
  try {
    for (const [index, image] of missing.entries()) {
      report(`${index + 1} of ${missing.length}: ${image.name}`);
      // One at a time: not every loader takes an archive of several.
      const archive = join(directory, `${image.name}.tar`);
      await writeArchive(archive, [image]);
      await load(archive);
      await rm(archive);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  report("asking the nodes whether they find them");
  const still = await missingOn(access, nodes, missing);
  if (still.length === 0) return;
  throw new Failure(
    `The image loader has run, and the nodes (${nodes.join(", ")}) still do not find ${still[0]!.reference}` +
      `${still.length > 1 ? ` and ${still.length - 1} more` : ""}.`,
    "The loader must keep names with digests, as containerd's `ctr --namespace k8s.io images import {}` does; `docker load` does not.",
  );
}

async function missingOn(
  access: Access,
  nodes: readonly string[],
  images: readonly BuiltImage[],
): Promise<BuiltImage[]> {
  const missing = new Set<string>();
  await Promise.all(
    nodes.map(async (node, index) => {
      const { pod } = await runPod(access, checkPod(`image-check-${index}`, node, images), allKnown, 120);
      for (const { name, state } of pod.status?.containerStatuses ?? [])
        if (isMissing(state)) missing.add(name);
    }),
  );
  return images.filter(({ name }) => missing.has(name));
}

/** A pod whose containers are only to be looked up: what they are to run is in no image. */
function checkPod(name: string, node: string, images: readonly BuiltImage[]) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: SERVICES_NAMESPACE },
    spec: {
      nodeSelector: { [HOSTNAME_LABEL]: node },
      restartPolicy: "Never",
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      containers: images.map((image) => ({
        name: image.name,
        image: image.reference,
        imagePullPolicy: "Never",
        command: ["/there-is-no-such-program"],
      })),
    },
  };
}

function allKnown({ spec, status }: V1Pod): boolean {
  const statuses = status?.containerStatuses ?? [];
  return (
    statuses.length === spec!.containers.length &&
    statuses.every(({ state }) => isMissing(state) || isPresent(state))
  );
}

function isMissing(state: V1ContainerStatus["state"]): boolean {
  return /Image/.test(state?.waiting?.reason ?? "");
}

function isPresent(state: V1ContainerStatus["state"]): boolean {
  return state?.terminated !== undefined || /ContainerError|CrashLoop/.test(state?.waiting?.reason ?? "");
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
