import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { CoreV1Api } from "@kubernetes/client-node";
import { BatchV1Api, CoreV1Api as Core } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { PREPARED_DIRECTORY } from "@video-storage/contract/layout";
import { KEYS } from "@video-storage/node-agent/volume-object";

import { apiClient } from "../../../local/api-client.js";
import { cleanupCronJobName } from "../../../components/lib/cleanup-cron-jobs.js";
import { GROUP_LABEL } from "../../../components/lib/labels.js";
import { CLEANUP_CONFIG_MAP } from "../../../components/lib/mounts.js";
import { apply } from "../../../infra/apply.js";
import type { Manifest } from "../../../infra/manifests.js";
import { restoreNode } from "../../../local/environment/built.js";
import { SLOTS_DIRECTORY } from "../../../local/environment/disks.js";
import { keptNetwork, nodeNetworkOf } from "../../../local/environment/network.js";
import { nodeDirectory, nodeName } from "../../../local/environment/nodes.js";
import {
  containerGroups,
  findSandbox,
  killSandbox,
  processesOf,
} from "../../../local/environment/sandbox.js";
import type { Sandbox } from "../../../local/environment/sandbox.js";
import { stateDirectory } from "../../../local/paths.js";
import { localSlots, WORKERS_NAMESPACE } from "../../../local/stack.js";
import { kubeConfigOf, local } from "../../support/local-environment.js";
import { declarePool, offerSlots, POOL_SLOTS } from "../../support/pool-of-slots.js";

const ENVIRONMENT = "nodes";
const state = stateDirectory(ENVIRONMENT);

let core: CoreV1Api;
const machine = async (index: number): Promise<Sandbox> => (await findSandbox(nodeDirectory(state, index)))!;

beforeAll(async () => {
  await local("destroy", ENVIRONMENT);
  const started = await local(
    "start",
    ENVIRONMENT,
    "--nodes",
    "2",
    "--no-jobs",
    "--build",
    "--engine",
    "render",
  );
  if (started.code !== 0) throw new Error(`npm start ended with ${started.code}:\n${started.output}`);
  core = apiClient(kubeConfigOf(ENVIRONMENT), Core);
});
afterAll(async () => {
  const ended = await local("destroy", ENVIRONMENT);
  if (ended.code !== 0) throw new Error(`npm run destroy ended with ${ended.code}:\n${ended.output}`);
});

async function untilReady(since: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const { status } = await core.readNode({ name: nodeName(1) });
        const ready = status!.conditions!.find(({ type }) => type === "Ready")!;
        return ready.status === "True" && new Date(ready.lastHeartbeatTime!).getTime() >= since - 1_000;
      },
      { timeout: 120_000, interval: 500 },
    )
    .toBe(true);
}

describe("an environment of two nodes", () => {
  it("has two kubelets, each on a machine of its own", async () => {
    const network = await keptNetwork(state);
    const { items } = await core.listNode();
    const found = items.map(({ metadata, status }) => [
      metadata!.name,
      status!.addresses!.find(({ type }) => type === "InternalIP")!.address,
      status!.conditions!.find(({ type }) => type === "Ready")!.status,
    ]);
    expect(found).toEqual(
      [0, 1].map((index) => [nodeName(index), nodeNetworkOf(network, index).address, "True"]),
    );
    const hosts = await Promise.all([0, 1].map(async (index) => (await machine(index)).must("hostname", [])));
    expect(hosts.map((name) => name.trim())).toEqual(["node-0", "node-1"]);
  });

  it("has a slot's volumes on both, each of its own user, and each bound", async () => {
    const { items } = await core.listNamespacedPersistentVolumeClaim({ namespace: "video-jobs" });
    const bound = items.map(({ metadata, status }) => [metadata!.name, status!.phase]);
    expect(bound).toEqual(
      [0, 1].flatMap((node) => [0, 1, 2].map((slot) => [`node-${node}-slot-${slot}`, "Bound"])),
    );
    const users = await Promise.all(
      [0, 1].map(async (index) => {
        const roots = [0, 1, 2].map((slot) => join(SLOTS_DIRECTORY, `slot-${slot}`));
        return (await (await machine(index)).must("stat", ["--format=%u:%g", ...roots])).trim().split("\n");
      }),
    );
    expect(users).toEqual([
      ["21000:20000", "21001:20000", "21002:20000"],
      ["21032:20000", "21033:20000", "21034:20000"],
    ]);
  });

  it("lets pods of one node reach a Service whose pod is on the other, by its name", async () => {
    const { items } = await core.listNamespacedPod({ namespace: "video-storage" });
    const server = items.find(({ metadata }) => metadata!.name === "object-storage-0")!;
    expect(server.spec!.nodeName).toBe("node-0");
    const script =
      'fetch("https://object-storage.video-storage.svc:9000/minio/health/live").then((r) => console.log(r.status), (e) => console.log(e.cause.code))';
    const pod = {
      metadata: { name: "reach" },
      spec: {
        nodeName: nodeName(1),
        restartPolicy: "Never",
        containers: [
          {
            name: "reach",
            image: await imageNamed("demo-worker"),
            command: ["/usr/local/bin/node", "-e", script],
            env: [{ name: "NODE_TLS_REJECT_UNAUTHORIZED", value: "0" }],
          },
        ],
      },
    };
    await core.createNamespacedPod({ namespace: "default", body: pod });
    const phase = async () =>
      (await core.readNamespacedPod({ namespace: "default", name: "reach" })).status!.phase;
    await expect.poll(phase, { timeout: 60_000, interval: 500 }).toBe("Succeeded");
    const log = await core.readNamespacedPodLog({ namespace: "default", name: "reach" });
    expect(log.trim().split("\n").at(-1)).toBe("200");
    await core.deleteNamespacedPod({ namespace: "default", name: "reach" });
  });

  describe("with a pool, whose nodes the storage decides", () => {
    const namespace = "pool-of-slots";
    let manifests: Manifest[];
    const steps: string[] = [];
    const deploy = () =>
      apply({
        manifests,
        kubeconfig: kubeConfigOf(ENVIRONMENT),
        systemNamespace: namespace,
        onProgress: ({ step, id }) => void steps.push(`${step} ${id}`),
      });
    const groups = ["instance-store-0", "instance-store-1"];
    /** The nodes of each group's volumes. */
    const nodesOfGroups = async () => {
      const claims = (await core.listNamespacedPersistentVolumeClaim({ namespace })).items;
      const volumes = new Map(
        (await core.listPersistentVolume()).items.map(({ metadata }) => [metadata!.name!, metadata!.labels]),
      );
      return groups.map((group) =>
        claims
          .filter(({ metadata }) => metadata!.labels![GROUP_LABEL] === group)
          .map(({ spec }) => volumes.get(spec!.volumeName!)?.[KEYS.node]),
      );
    };

    beforeAll(async () => {
      await core.createNamespace({ body: { metadata: { name: namespace } } });
      await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: "cleanup" } } });
      for (const name of ["catalogue-cleanup", "object-storage-cleanup"]) {
        const { data } = await core.readNamespacedSecret({ namespace: WORKERS_NAMESPACE, name });
        await core.createNamespacedSecret({ namespace, body: { metadata: { name }, data: data! } });
      }
      for (const index of [0, 1]) await offerSlots(await machine(index), nodeName(index), core);
      const { data } = await core.readNamespacedConfigMap({
        namespace: WORKERS_NAMESPACE,
        name: CLEANUP_CONFIG_MAP,
      });
      const config = JSON.parse(data!["cleanup.json"]!) as CleanupConfig;
      manifests = await declarePool(namespace, { cleanupJob: await imageNamed("cleanup-job") }, config);
      await deploy();
    });

    it("binds each group's claims on one node, by its placement Job, and makes no sweep before", async () => {
      const nodes = await nodesOfGroups();
      expect(nodes.map((ofGroup) => [ofGroup.length, new Set(ofGroup).size])).toEqual([
        [2, 1],
        [2, 1],
      ]);
      expect(nodes.map(([node]) => node).sort()).toEqual([nodeName(0), nodeName(1)]);
      // The volumes were there, so the scheduler has written no node on the claims: placement has to look at the volumes.
      const claims = (await core.listNamespacedPersistentVolumeClaim({ namespace })).items;
      const selected = "volume.kubernetes.io/selected-node";
      expect(claims.filter(({ metadata }) => metadata!.annotations?.[selected] !== undefined)).toEqual([]);
      const { items } = await core.listNamespacedPod({ namespace });
      const placed = groups.map((group) =>
        items
          .filter(({ metadata }) => metadata!.labels![GROUP_LABEL] === group)
          .map(({ spec, status }) => [spec!.nodeName, status!.phase]),
      );
      expect(placed).toEqual(nodes.map(([node]) => [[node, "Succeeded"]]));
      for (const group of groups) {
        const [ready, made] = ["ready Job", "created CronJob"].map((step) =>
          steps.findIndex((one) => one.startsWith(step) && one.includes(group)),
        );
        expect(ready).toBeGreaterThan(-1);
        expect(made).toBeGreaterThan(ready!);
      }
    });

    it("leaves in each volume the jobs' directory, of the slot's own user", async () => {
      const found = await Promise.all(
        [0, 1].map(async (index) => {
          const jobs = [0, 1].map((slot) => `/mnt/instance-store/slot-${slot}/${PREPARED_DIRECTORY}`);
          return (await (await machine(index)).must("stat", ["--format=%u:%g %a", ...jobs]))
            .trim()
            .split("\n");
        }),
      );
      expect(found.flat().sort()).toEqual(POOL_SLOTS.map(({ runAsUser }) => `${runAsUser}:20000 2750`));
    });

    it("sweeps each group on the node of its volumes", async () => {
      const batch = apiClient(kubeConfigOf(ENVIRONMENT), BatchV1Api);
      for (const group of groups) {
        const cronJob = await batch.readNamespacedCronJob({ namespace, name: cleanupCronJobName(group) });
        const { spec } = cronJob.spec!.jobTemplate;
        await batch.createNamespacedJob({
          namespace,
          body: { metadata: { name: `sweep-${group}` }, spec: spec! },
        });
      }
      const swept = async () => {
        const { items } = await core.listNamespacedPod({
          namespace,
          labelSelector: "app.kubernetes.io/component=cleanup",
        });
        return items
          .map(({ metadata, spec, status }) => [
            metadata!.labels!["batch.kubernetes.io/job-name"],
            spec!.nodeName,
            status!.phase,
          ])
          .sort();
      };
      const nodes = await nodesOfGroups();
      await expect
        .poll(swept, { timeout: 60_000, interval: 300 })
        .toEqual(groups.map((group, index) => [`sweep-${group}`, nodes[index]![0], "Succeeded"]));
    });

    it("does nothing anew at a second deployment", async () => {
      const ids = manifests.map(({ id }) => id).sort();
      const { created, changed, unchanged } = await deploy();
      expect([created, changed, unchanged.sort()]).toEqual([[], [], ids]);
    });
  });

  it("brings back a node that failed, with what was on its disks", async () => {
    const before = await machine(1);
    const file = join(SLOTS_DIRECTORY, "slot-1", "kept");
    await before.must("sh", ["-c", `echo kept > ${file} && sync ${file}`]);
    const groups = await containerGroups(before);
    await killSandbox(before);
    expect([groups.length > 0, groups.filter((group) => existsSync(group))]).toEqual([true, []]);
    expect(await findSandbox(nodeDirectory(state, 1))).toBeUndefined();
    const since = Date.now();
    await restoreNode(ENVIRONMENT, 1, localSlots(2)[1]!);
    const after = await machine(1);
    expect(after.pid).not.toBe(before.pid);
    expect(await after.must("cat", [file])).toBe("kept\n");
    await after.must("rm", [file]);
    await untilReady(since);
  });
});

describe("npm start, run again", () => {
  it("keeps as many nodes as there are, refuses fewer, and tells a wrong number", async () => {
    const again = await local("start", ENVIRONMENT, "--no-jobs", "--engine", "render");
    expect([again.code, again.output]).toEqual([0, expect.stringContaining("node-1-slot-2")]);
    // Long enough for a program that watches its configuration to have seen that it was written again.
    await sleep(2_000);
    for (const index of [0, 1]) {
      const programs = (await processesOf(await machine(index))).map(({ words }) => words[1]);
      expect(programs).toEqual(expect.arrayContaining(["kubelet", "kube-proxy"]));
    }
    const fewer = await local("start", ENVIRONMENT, "--nodes", "1", "--no-jobs");
    expect([fewer.code, fewer.output]).toEqual([1, expect.stringContaining("This environment has 2 nodes")]);
    const wrong = await local("start", ENVIRONMENT, "--nodes", "two", "--no-jobs");
    expect([wrong.code, wrong.output]).toEqual([
      1,
      expect.stringContaining("--nodes two is no number of nodes"),
    ]);
  });
});

/** One of the stack's images, by digest. */
async function imageNamed(image: string): Promise<string> {
  const { status } = await core.readNode({ name: nodeName(1) });
  const names = status!.images!.flatMap(({ names: all = [] }) => all);
  return names.find((name) => name.includes(`/${image}@`))!;
}
