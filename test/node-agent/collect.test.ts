import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { KubeConfig } from "@kubernetes/client-node";
import type { NodeAgentConfig } from "@video-storage/contract/node-agent-config";
import { Cluster } from "@video-storage/node-agent/cluster";
import { collectOnce } from "@video-storage/node-agent/collect";
import { buildLocalVolume } from "@video-storage/node-agent/volume-object";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { VolumeApi } from "../support/volume-api.js";

const START = Date.parse("2026-01-01T12:00:00Z");
const at = (seconds: number) => new Date(START + seconds * 1000);

describe("volumes of nodes that are gone", () => {
  let api: VolumeApi;
  let cluster: Cluster;
  let directory: string;
  let said: string[];
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "collect-"));
    api = new VolumeApi();
    await api.start(join(directory, "kubeconfig"));
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromFile(join(directory, "kubeconfig"));
    cluster = new Cluster(kubeConfig);
    said = [];
    for (const node of ["node-a", "node-b"]) {
      api.addNode(node);
      for (const pool of ["hot", "other"]) {
        api.addVolume({
          ...buildLocalVolume({
            name: `${pool}-${node}`,
            labels: { "video-storage/pool": pool },
            className: "fast",
            node,
            path: "/mnt/slot-0",
            bytes: 2n ** 30n,
            claim: null,
            onRelease: "wipe",
          }),
          status: { phase: "Available" },
        });
      }
    }
  });
  afterEach(async () => {
    await api.stop();
    rmSync(directory, { recursive: true });
  });

  const collect = (seconds: number, claims: "keep" | "delete" = "delete") =>
    collectOnce(
      {
        volumes: { storageClass: "fast", owner: "agent", pool: "hot", wipeDelaySeconds: 0 },
        vanishedNodes: { graceSeconds: 600, claims },
      } as NodeAgentConfig,
      cluster,
      ({ event, volume, claim }) => void said.push([event, volume, claim].filter(Boolean).join(" ")),
      at(seconds),
    );
  const volumes = () => [...api.volumes.keys()].sort();

  it("are removed after the grace, and no others", async () => {
    api.nodes.delete("node-b");
    await collect(0);
    await collect(599);
    expect(volumes()).toHaveLength(4);
    await collect(600);
    expect(volumes()).toEqual(["hot-node-a", "other-node-a", "other-node-b"]);
    expect(said).toEqual(["node-missing hot-node-b", "volume-deleted hot-node-b"]);
  });

  it("are kept when the node comes back, and its next absence counts from its own beginning", async () => {
    const node = api.nodes.get("node-b")!;
    api.nodes.delete("node-b");
    await collect(0);
    api.nodes.set("node-b", node);
    await collect(500);
    api.nodes.delete("node-b");
    await collect(1000);
    await collect(1500);
    expect(volumes()).toHaveLength(4);
    expect(said).toEqual(["node-missing hot-node-b", "node-back hot-node-b", "node-missing hot-node-b"]);
  });

  it("go with the claims that are bound to them, where that is wanted", async () => {
    api.bind("hot-node-b", { namespace: "jobs", name: "c" });
    api.nodes.delete("node-b");
    await collect(0);
    await collect(600, "keep");
    expect([...api.claims.keys()]).toEqual(["jobs/c"]);
    await collect(601);
    expect([...api.claims.keys()]).toEqual([]);
    await collect(602);
    expect(volumes()).not.toContain("hot-node-b");
    expect(said).toEqual([
      "node-missing hot-node-b",
      "claim-stranded hot-node-b jobs/c",
      "claim-deleted hot-node-b jobs/c",
      "volume-deleted hot-node-b",
    ]);
  });

  it("are not removed when the answer names no node at all", async () => {
    api.nodes.clear();
    await collect(0);
    await collect(10_000);
    expect(volumes()).toHaveLength(4);
    expect(said).toEqual([]);
  });
});
