import { setTimeout as sleep } from "node:timers/promises";

import { BatchV1Api } from "@kubernetes/client-node";
import type { V1JobStatus } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildWorkerPod } from "../../../components/lib/worker-pod.js";
import { environmentWithoutJobs, nodeCommand } from "../../support/running-environment.js";
import type { RunningEnvironment, TestPods } from "../../support/running-environment.js";
import { slotsForThisFile } from "../../support/slots-for-this-file.js";

let environment: RunningEnvironment;
let pods: TestPods;

slotsForThisFile();
beforeAll(async () => {
  environment = await environmentWithoutJobs();
  pods = environment.pods();
});

afterAll(() => pods.close());

describe("a sweep", () => {
  it("is taken by the cluster as critical, so that a full node takes it too, and sweeps each slot", async () => {
    const { contract, core, api } = environment;
    const { namespace } = contract;
    const batch = api(BatchV1Api);
    const cronJob = await batch.readNamespacedCronJob({ namespace, name: contract.cleanup.cronJobs[0]! });
    const { spec } = cronJob.spec!.jobTemplate;
    const name = `test-sweep-${Date.now().toString(36)}`;
    await batch.createNamespacedJob({ namespace, body: { metadata: { name }, spec: spec! } });
    try {
      let status: V1JobStatus | undefined;
      do {
        await sleep(500);
        status = (await batch.readNamespacedJob({ namespace, name })).status;
      } while (!status?.succeeded && !status?.failed);
      const labelSelector = `batch.kubernetes.io/job-name=${name}`;
      const [pod] = (await core.listNamespacedPod({ namespace, labelSelector })).items;
      expect([status.succeeded, pod!.spec!.priority]).toEqual([1, 2_000_001_000]);
      const ended = pod!.status!.containerStatuses!.map((container) => container.state!.terminated!.exitCode);
      expect(ended).toEqual(contract.slots.map(() => 0));
    } finally {
      await batch.deleteNamespacedJob({ namespace, name, propagationPolicy: "Background" });
    }
  });
});

describe("what the contract says of the environment", () => {
  it("is there: every slot's claim, and every node's CronJob", async () => {
    const { contract, core, api } = environment;
    const { items: claims } = await core.listNamespacedPersistentVolumeClaim({
      namespace: contract.namespace,
    });
    const capacityOf = Object.fromEntries(
      claims.map(({ metadata, spec }) => [metadata!.name, spec!.resources!.requests!["storage"]]),
    );
    expect(capacityOf).toEqual(Object.fromEntries(contract.slots.map(({ claim }) => [claim, "64Mi"])));
    const { items: cronJobs } = await api(BatchV1Api).listNamespacedCronJob({
      namespace: contract.namespace,
    });
    expect(cronJobs.map(({ metadata }) => metadata!.name)).toEqual(contract.cleanup.cronJobs);
  });

  it("is true inside a worker's pod: its user, its groups, its mount and its environment", async () => {
    const { contract, images } = environment;
    const slot = contract.slots[0]!;
    const script = `
      import fs from "node:fs";
      const { VIDEO_STORAGE_TENANT: tenant, VIDEO_STORAGE_VOLUME: volume, NODE_NAME: node } = process.env;
      const contract = JSON.parse(fs.readFileSync(process.env.VIDEO_STORAGE_CONTRACT, "utf8"));
      const root = fs.statSync(contract.layout.mountPath);
      console.log(JSON.stringify({ event: "result", tenant, volume, node, user: process.getuid(),
        groups: process.getgroups().sort(), owner: root.uid, group: root.gid, mode: root.mode & 0o7777 }));`;
    const args = { contract, image: images.demoWorker, slot: slot.name, tenant: "acme" };
    const said = await pods.result("inside", buildWorkerPod({ ...args, command: nodeCommand(script) }));
    expect(said).toEqual({
      event: "result",
      tenant: "acme",
      volume: slot.name,
      node: slot.node,
      user: slot.runAsUser,
      groups: [slot.runAsUser],
      owner: slot.runAsUser,
      group: contract.uploadGroup,
      mode: 0o2750,
    });
  });
});
