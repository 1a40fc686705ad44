import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

import * as k8s from "@pulumi/kubernetes";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { GROUP_LABEL } from "../../components/lib/labels.js";
import { buildPlacementAccess, buildPlacementJobs } from "../../components/lib/placement-jobs.js";
import { slotsOf, slotsOfPools } from "../../components/lib/slots.js";
import { withWorkerScratch } from "../../components/lib/worker-pod.js";
import { buildSlotClaim, WorkerScratch } from "../../components/worker-scratch.js";
import { CertificateAuthority } from "../../local/environment/certificates.js";
import { stackContract } from "../support/documents.js";
import { image } from "../support/local-configuration.js";
import { declared } from "../support/recorder.js";

const nodeSelector = { "node.kubernetes.io/instance-type": "i4i.4xlarge" };
const pool = (slots: number) => slotsOfPools([{ name: "hot", id: 2, slots, slotsPerNode: 2 }]);
const args = {
  environment: "test",
  namespace: "jobs",
  slots: pool(5),
  placement: { image: image("cleanup-job"), pools: [{ name: "hot", nodeSelector }], deadlineSeconds: 900 },
};

describe("placement", () => {
  const jobs = buildPlacementJobs(args);
  const spec = jobs[0]!.spec.template.spec;

  it("is a Job for each group, whose one pod uses all of the group's claims and no other", () => {
    expect(jobs.map(({ metadata }) => metadata.name.replace(/-[0-9a-f]{10}$/, ""))).toEqual([
      "place-hot-0",
      "place-hot-1",
      "place-hot-2",
    ]);
    const claims = jobs.map(({ spec: { template } }) =>
      template.spec.volumes.map((volume) => volume.persistentVolumeClaim.claimName),
    );
    expect(claims).toEqual([["hot-slot-0", "hot-slot-1"], ["hot-slot-2", "hot-slot-3"], ["hot-slot-4"]]);
    expect(jobs[0]!.spec).toMatchObject({ backoffLimit: 2, activeDeadlineSeconds: 900 });
  });

  it("is bound to the pool's nodes, and to one without placements and workers of other groups", () => {
    expect(spec.nodeSelector).toEqual(nodeSelector);
    expect(spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution).toEqual([
      {
        labelSelector: {
          matchLabels: { "app.kubernetes.io/instance": "test", "video-storage/pool": "hot" },
          matchExpressions: [
            { key: "app.kubernetes.io/component", operator: "In", values: ["placement", "worker"] },
            { key: "video-storage/slot-group", operator: "NotIn", values: ["hot-0"] },
          ],
        },
        topologyKey: "kubernetes.io/hostname",
      },
    ]);
  });

  it("has the same constraint as the workers, who so keep to their own node in the limit of its slots", () => {
    const [slot] = stackContract().slots;
    const slots = [{ ...slot!, placement: { pool: "hot", group: "hot-0" } }];
    const worker = withWorkerScratch(
      { spec: { containers: [{ name: "worker", image: image("w") }] } },
      { contract: stackContract({ slots }), slot: slot!.name, tenant: "acme" },
    );
    const terms = (worker.spec["affinity"] as typeof spec.affinity).podAntiAffinity;
    expect(terms.requiredDuringSchedulingIgnoredDuringExecution[1]).toEqual(
      spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0],
    );
    expect(worker.metadata.labels).toMatchObject({
      "video-storage/pool": "hot",
      "video-storage/slot-group": "hot-0",
    });
  });

  it("prepares each volume as its slot's user, restricted, with the group that a new volume's root gets", () => {
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, fsGroup: 20_000 });
    expect(spec.initContainers.map(({ securityContext }) => securityContext)).toEqual(
      [21_064, 21_065].map((user) => ({
        ...{ runAsUser: user, runAsGroup: user, allowPrivilegeEscalation: false },
        ...{ readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
      })),
    );
    expect(spec.initContainers[1]!.volumeMounts).toEqual([{ name: "slot-1", mountPath: "/volume" }]);
  });

  it("of a group runs again when it grows, and of the others not", () => {
    const names = (slots: number) =>
      buildPlacementJobs({ ...args, slots: pool(slots) }).map(({ metadata }) => metadata.name);
    const [before, after] = [names(5), names(7)];
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
    expect(after[2]).not.toBe(before[2]);
    expect(after).toHaveLength(4);
    const renewed = { ...args.placement, image: image("newer") };
    expect(buildPlacementJobs({ ...args, placement: renewed }).map(({ metadata }) => metadata.name)).toEqual(
      before,
    );
  });

  it("may list claims of its namespace, and volumes, and nothing else", () => {
    const { role, clusterRole, clusterBinding } = buildPlacementAccess("test", "jobs");
    expect([role, clusterRole].map(({ rules }) => rules)).toEqual([
      [{ apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: ["list"] }],
      [{ apiGroups: [""], resources: ["persistentvolumes"], verbs: ["list"] }],
    ]);
    expect(clusterBinding.roleRef.name).toBe(clusterRole.metadata.name);
    expect(clusterBinding.subjects).toEqual([
      { kind: "ServiceAccount", name: "placement", namespace: "jobs" },
    ]);
  });

  it("needs the labels of the pool's nodes", () => {
    const placement = { ...args.placement, pools: [{ name: "cold", nodeSelector }] };
    expect(() => buildPlacementJobs({ ...args, placement })).toThrow(
      "slots are of pool hot, and placement.pools has only cold",
    );
  });
});

describe("claims of pools", () => {
  const scratch = { ...args, storageClass: "fast", slotBytes: 2n ** 30n, protectData: false };

  it("name no volume, and say whose group they are", () => {
    const claim = buildSlotClaim(scratch, args.slots[2]!);
    expect(claim.spec).not.toHaveProperty("volumeName");
    expect(claim.metadata.labels).toMatchObject({
      "video-storage/pool": "hot",
      "video-storage/slot-group": "hot-1",
    });
    const [ofNode] = slotsOf([{ name: "node-a", id: 0, slots: 1, directory: "/mnt" }]);
    expect(buildSlotClaim(scratch, ofNode!).spec.volumeName).toBe("jobs-node-a-slot-0");
  });

  it("of a group are there before it is placed, and what waits for the component waits for placement", async () => {
    const all = await declared(() => {
      const provider = new k8s.Provider("cluster", { context: "test" });
      const component = new WorkerScratch("x", scratch, { provider });
      new k8s.core.v1.ConfigMap("after", {}, { provider, dependsOn: component });
    });
    const names = (urns: readonly string[]) => urns.map((urn) => urn.split("::").at(-1)!);
    const jobs = all.resources.filter(({ type }) => type.endsWith(":Job"));
    expect(jobs).toHaveLength(3);
    for (const job of jobs) {
      const group = (job.inputs["metadata"] as { labels: Record<string, string> }).labels[GROUP_LABEL];
      const own = args.slots.filter((slot) => slot.group === group).map(({ name }) => `x-${name}`);
      const claims = names(job.dependencies).filter((name) => /-slot-\d+$/.test(name));
      // Its own alone: were each to wait for all, dependencies would grow with the square of the slots.
      expect(claims.sort()).toEqual(own.sort());
      expect(names(job.dependencies)).toContain("x-placement");
    }
    const waited = names(all.one("ConfigMap", "after").dependencies);
    expect(waited).toEqual(expect.arrayContaining(jobs.map(({ name }) => name)));
  });

  it("are refused without placement: whatever came first would decide on their node", async () => {
    const { placement, ...rest } = scratch;
    expect(placement).toBeDefined();
    await expect(
      declared(() => new WorkerScratch("x", rest, { provider: new k8s.Provider("c", {}) })),
    ).rejects.toThrow("slots are of the pools hot, and without `placement` whatever uses a claim first");
  });
});

/** The program as the pod runs it, against an API server that says what a test wants. */
describe("a placement pod", () => {
  let directory: string;
  let server: ReturnType<typeof createServer>;
  let answers: { status: number; items: unknown[] }[];
  const asked: { url: string; authorization: string | undefined }[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "video-storage-placement-"));
    const authority = await CertificateAuthority.open(join(directory, "certificates"));
    const { certificate, key } = await authority.issue("server", { name: "api", hosts: ["127.0.0.1"] });
    writeFileSync(join(directory, "ca.crt"), authority.certificate);
    writeFileSync(join(directory, "token"), "a-token");
    server = createServer({ cert: certificate, key }, (request, response) => {
      asked.push({ url: request.url!, authorization: request.headers.authorization });
      const { status, items } = answers.length > 1 ? answers.shift()! : answers[0]!;
      response.writeHead(status).end(JSON.stringify({ items }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });

  afterAll(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });

  const claim = (group: string, node?: string) => ({
    metadata: {
      labels: { "video-storage/slot-group": group },
      annotations: { ...(node && { "volume.kubernetes.io/selected-node": node }) },
    },
    status: { phase: node ? "Bound" : "Pending" },
  });

  /** Bound to a volume that was there already, as the node agents offer them. */
  const bound = (group: string, volumeName: string) => ({
    ...claim(group),
    spec: { volumeName },
    status: { phase: "Bound" },
  });
  const volume = (name: string, node: string) => ({
    metadata: { name, labels: { "video-storage/node": node } },
  });

  async function run(...given: { status: number; items: unknown[] }[]) {
    answers = given;
    const { command, env } = buildPlacementJobs({ ...args, slots: pool(4) })[0]!.spec.template.spec
      .containers[0]!;
    const child = spawn(process.execPath, command.slice(1), {
      env: {
        ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
        API_SERVER: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
        ACCOUNT_DIRECTORY: directory,
      },
    });
    const [output, [code]] = await Promise.all([
      text(child.stdout),
      once(child, "exit") as Promise<[number]>,
    ]);
    const messages = output
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { message: string }).message);
    return { code, messages };
  }

  it("ends when every group of its pool is on a node, and not before", async () => {
    const half = [claim("hot-0", "a"), claim("hot-0", "a"), claim("hot-1", "b"), claim("hot-1")];
    const whole = [...half.slice(0, 3), claim("hot-1", "b")];
    expect(
      await run({ status: 503, items: [] }, { status: 200, items: half }, { status: 200, items: whole }),
    ).toEqual({
      code: 0,
      messages: ["the API server says 503", "1 of 2 groups are on a node", "2 of 2 groups are on a node"],
    });
    expect(asked[0]).toEqual({
      url: "/api/v1/namespaces/jobs/persistentvolumeclaims?labelSelector=video-storage%2Fpool%3Dhot",
      authorization: "Bearer a-token",
    });
  });

  it("learns from the volume where a claim lies that was bound to one which was there", async () => {
    const claims = [bound("hot-0", "v0"), bound("hot-0", "v1"), bound("hot-1", "v2")];
    const volumes = [volume("v0", "a"), volume("v1", "a"), volume("v2", "b"), volume("v3", "b")];
    asked.length = 0;
    expect(await run({ status: 200, items: claims }, { status: 200, items: volumes })).toEqual({
      code: 0,
      messages: ["2 of 2 groups are on a node"],
    });
    expect(asked.map(({ url }) => url)).toEqual([
      "/api/v1/namespaces/jobs/persistentvolumeclaims?labelSelector=video-storage%2Fpool%3Dhot",
      "/api/v1/persistentvolumes?labelSelector=video-storage%2Fpool%3Dhot",
    ]);
    const same = volumes.map(({ metadata }) => volume(metadata.name, "a"));
    const { code, messages } = await run({ status: 200, items: claims }, { status: 200, items: same });
    expect([code, messages[0]]).toEqual([1, expect.stringContaining("hot-0 and hot-1 lie on one node, a,")]);
  });

  it("fails when two groups came to one node, which so has more slots than it may", async () => {
    const items = [claim("hot-0", "a"), claim("hot-1", "a")];
    const { code, messages } = await run({ status: 200, items });
    expect([code, messages[0]]).toEqual([
      1,
      expect.stringContaining("groups hot-0 and hot-1 lie on one node, a,"),
    ]);
  });

  it("fails when one group came to several nodes, where no sweep could reach all of it", async () => {
    const items = [claim("hot-0", "a"), claim("hot-0", "b")];
    const { code, messages } = await run({ status: 200, items });
    expect([code, messages[0]]).toEqual([
      1,
      expect.stringContaining("group hot-0 lies on several nodes (a, b)"),
    ]);
  });
});
