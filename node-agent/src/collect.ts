import { setTimeout as sleep } from "node:timers/promises";

import type { NodeAgentConfig } from "@video-storage/contract/node-agent-config";
import type { Cluster } from "./cluster.js";
import { ClusterUnavailableError } from "./cluster-unavailable.js";
import { annotationPatch, decideVanished } from "./decisions.js";
import type { Volume } from "./decisions.js";
import type { Reporter } from "./report.js";
import { KEYS } from "./volume-object.js";

const ROUND_SECONDS = 30;

/** Removes the volumes that agents made on nodes that are gone, until the signal. */
export async function collect(
  config: NodeAgentConfig,
  cluster: Cluster,
  report: Reporter,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    try {
      await collectOnce(config, cluster, report);
    } catch (error) {
      if (!(error instanceof ClusterUnavailableError)) throw error;
      report({ event: "cluster-unavailable", level: "warning", reason: error.message });
    }
    await sleep(ROUND_SECONDS * 1000, undefined, { signal: stop }).catch(() => {});
  }
}

/** One look at all of them. */
export async function collectOnce(
  config: NodeAgentConfig,
  cluster: Cluster,
  report: Reporter,
  now = new Date(),
): Promise<void> {
  const { volumes: settings, vanishedNodes } = config;
  if (settings?.owner !== "agent") return;
  const volumes = await cluster.volumes(`${KEYS.pool}=${settings.pool}`);
  // After the volumes: a node that made one of them was in the cluster when it did.
  const nodes = await cluster.hostnames();
  for (const volume of volumes) {
    if (volume.storageClass !== settings.storageClass) continue;
    const decision = decideVanished(volume, nodes, vanishedNodes, now);
    const about = { volume: volume.name, node: volume.labels[KEYS.node] };
    switch (decision.do) {
      case "nothing":
        break;
      case "note-missing":
        await cluster.patchVolume(
          volume.name,
          annotationPatch(volume, KEYS.nodeMissingSince, now.toISOString()),
        );
        report({ event: "node-missing", ...about });
        break;
      case "note-back":
        await cluster.patchVolume(volume.name, removal(volume, KEYS.nodeMissingSince));
        report({ event: "node-back", ...about });
        break;
      case "delete-volume":
        if (await cluster.deleteVolume(volume)) report({ event: "volume-deleted", ...about });
        break;
      case "delete-claim": {
        const { claim } = volume;
        if (claim?.uid === undefined) break;
        const gone = await cluster.deleteClaim({ ...claim, uid: claim.uid });
        if (gone) report({ event: "claim-deleted", claim: `${claim.namespace}/${claim.name}`, ...about });
        break;
      }
      case "report":
        report({
          event: "claim-stranded",
          level: "warning",
          claim: `${volume.claim?.namespace}/${volume.claim?.name}`,
          ...about,
          reason: "what it had is gone: delete the claim, or let vanishedNodes.claims be delete",
        });
    }
  }
}

function removal(volume: Volume, key: string) {
  const path = `/metadata/annotations/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  return [
    { op: "test" as const, path: "/metadata/uid", value: volume.uid },
    { op: "remove" as const, path },
  ];
}
