import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { CoreV1Api } from "@kubernetes/client-node";
import { CoreV1Api as Core } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { restoreNode } from "../../local/environment/built.js";
import { SLOTS_DIRECTORY } from "../../local/environment/disks.js";
import { keptNetwork, nodeNetworkOf } from "../../local/environment/network.js";
import { nodeDirectory, nodeName } from "../../local/environment/nodes.js";
import { containerGroups, findSandbox, killSandbox, processesOf } from "../../local/environment/sandbox.js";
import type { Sandbox } from "../../local/environment/sandbox.js";
import { stateDirectory } from "../../local/paths.js";
import { localSlots } from "../../local/stack.js";
import { kubeConfigOf, local } from "../support/local-environment.js";

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
  core = kubeConfigOf(ENVIRONMENT).makeApiClient(Core);
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
            image: await demoWorker(),
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

async function demoWorker(): Promise<string> {
  const { status } = await core.readNode({ name: nodeName(1) });
  const names = status!.images!.flatMap(({ names: all = [] }) => all);
  return names.find((name) => /\/demo-worker@/.test(name))!;
}
