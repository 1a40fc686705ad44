import { setTimeout as sleep } from "node:timers/promises";

import {
  ApiException,
  AuthenticationV1Api,
  CoreV1Api,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
} from "@kubernetes/client-node";
import * as k8s from "@pulumi/kubernetes";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { apiClient } from "../../../local/api-client.js";
import { LocalSsdStorage } from "../../../components/local-ssd-storage.js";
import { NodePreparation } from "../../../components/node-preparation.js";
import { ClusterClient } from "../../../infra/apply/cluster-client.js";
import { manifestsOf } from "../../../infra/manifests.js";
import type { Manifest } from "../../../infra/manifests.js";
import { declared } from "../../support/recorder.js";
import { nodeCommand, runningEnvironment } from "../../support/running-environment.js";
import type { RunningEnvironment, TestPods } from "../../support/running-environment.js";

const AGENTS = "node-preparation-test-agents";
const CLAIMS = "node-preparation-test";
const DIRECTORY = "/mnt/node-preparation-test";
const FILES = "/var/lib/node-preparation-test";
const CLASS = "node-preparation-test";
const VOLUME = `${CLAIMS}-slot-0`;
const USER = 23_000;
const SECRET = "PREVIOUS-TENANTS-VIDEO";

let environment: RunningEnvironment;
let client: ClusterClient;
let pods: TestPods;
let manifests: Manifest[];

/** What someone with a program of their own declares: these two components and nothing else of ours. */
async function declare(node: string, image: string): Promise<Manifest[]> {
  const { resources } = await declared(() => {
    const providers = [new k8s.Provider("cluster", { context: "test" })];
    const volumes = [
      {
        name: VOLUME,
        node,
        path: `${DIRECTORY}/slot-0`,
        bytes: 2n ** 26n,
        claim: { namespace: CLAIMS, name: "scratch" },
        onRelease: "wipe" as const,
      },
    ];
    const args = { environment: "node-preparation-test", className: CLASS, mode: "static" as const, volumes };
    new LocalSsdStorage("storage", args, { providers });
    const slot = { name: "slot-0", bytes: 2 ** 26, user: USER, group: USER, mode: "2750" };
    new NodePreparation(
      "nodes",
      {
        environment: "node-preparation-test",
        namespace: AGENTS,
        image,
        protectKey: false,
        groups: [
          {
            name: "test",
            nodeSelector: {},
            hostnames: [node],
            tolerations: [],
            settings: {
              medium: { kind: "loop-files", directory: FILES, preallocate: false },
              layout: {
                kind: "slots",
                filesystem: "ext4",
                inodes: null,
                nodes: { [node]: { directory: DIRECTORY, slots: [slot] } },
              },
              encryption: { kind: "none" },
              volumes: { storageClass: CLASS, owner: "declared", pool: null, wipeDelaySeconds: 0 },
              vanishedNodes: { graceSeconds: 600, claims: "keep" },
            },
          },
        ],
      },
      { providers },
    );
  });
  return manifestsOf(resources);
}

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const found = await look();
    if (found) return found;
    await sleep(300);
  }
  throw new Error(`${what} did not come about`);
}

const node = () => environment.contract.slots[0]!.node!;
const volume = () => environment.core.readPersistentVolume({ name: VOLUME });
const phase = async (wanted: string) =>
  until(`phase ${wanted}`, async () => (await volume()).status?.phase === wanted);

async function claim(): Promise<void> {
  await environment.core.createNamespacedPersistentVolumeClaim({
    namespace: CLAIMS,
    body: {
      metadata: { name: "scratch" },
      spec: {
        accessModes: ["ReadWriteOnce"],
        storageClassName: CLASS,
        volumeName: VOLUME,
        resources: { requests: { storage: "64Mi" } },
      },
    },
  });
}

/** A pod that runs a script on the claim, as the slot's own user, and stays. */
function podBody(script: string) {
  return {
    metadata: { labels: {} },
    spec: {
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsUser: USER, runAsGroup: USER, runAsNonRoot: true },
      containers: [
        {
          name: "main",
          image: environment.images.demoWorker,
          imagePullPolicy: "IfNotPresent",
          command: nodeCommand(`${script}\nsetInterval(() => {}, 1000);`),
          volumeMounts: [{ name: "scratch", mountPath: "/scratch" }],
        },
      ],
      volumes: [{ name: "scratch", persistentVolumeClaim: { claimName: "scratch" } }],
    },
  };
}

const LOOK = `
  import fs from "node:fs";
  const mount = fs.readFileSync("/proc/self/mounts", "utf8").split("\\n").find((line) => line.split(" ")[1] === "/scratch");
  const { uid, gid, mode } = fs.statSync("/scratch");
  console.log(JSON.stringify({ event: "result", entries: fs.readdirSync("/scratch"), uid, gid, mode: mode & 0o7777,
    options: mount.split(" ")[3].split(",").filter((option) => option.startsWith("no")).sort() }));`;

beforeAll(async () => {
  environment = await runningEnvironment();
  client = new ClusterClient(environment.kubeConfig);
  await environment.core.createNamespace({ body: { metadata: { name: CLAIMS } } });
  pods = environment.pods(CLAIMS);
  manifests = await declare(node(), environment.images.nodeAgent);
  for (const { object } of manifests) await client.apply(object);
  await until("a prepared node", async () => {
    const { metadata } = await environment.core.readNode({ name: node() });
    return metadata!.labels!["video-storage/prepared"] === "true";
  });
});

afterAll(async () => {
  await pods.close();
  const { core } = environment;
  await core
    .deleteNamespacedPersistentVolumeClaim({ namespace: CLAIMS, name: "scratch" })
    .catch(() => undefined);
  for (const { object } of [...manifests].reverse()) await client.delete(object);
  await until("the agent's end", async () => {
    const { items } = await core.listNamespacedPod({ namespace: AGENTS });
    return items.length === 0;
  }).catch(() => undefined);
  await core.deleteNamespace({ name: CLAIMS });
  const keys = ["prepared", "slots", "medium", "encryption"].map((key) => [`video-storage/${key}`, null]);
  const body = { metadata: { labels: Object.fromEntries(keys) as Record<string, null> } };
  await core.patchNode({ name: node(), body }, setHeaderOptions("Content-Type", PatchStrategy.MergePatch));
  await environment.node.run("umount", ["--recursive", DIRECTORY]);
  await environment.node.run("rm", ["-rf", FILES, DIRECTORY]);
  client.close();
});

describe("nodes prepared by the agent in the cluster", () => {
  it("say what was made of them and how it is encrypted", async () => {
    const { metadata } = await environment.core.readNode({ name: node() });
    const ours = Object.entries(metadata!.labels!).filter(([key]) => key.startsWith("video-storage/"));
    expect(Object.fromEntries(ours)).toEqual({
      "video-storage/prepared": "true",
      "video-storage/slots": "1",
      "video-storage/medium": "loop-files",
      "video-storage/encryption": "none",
    });
  });

  it("wipe what a claim left, not while a pod uses it, and offer it to the claim of the same name", async () => {
    await claim();
    const first = await pods.create(
      "first",
      podBody(`import fs from "node:fs"; fs.writeFileSync("/scratch/video", "${SECRET}".repeat(1000));
        fs.mkdirSync("/scratch/locked", { mode: 0 }); console.log(JSON.stringify({ event: "result" }));`),
    );
    await pods.said(first);
    const content = (await volume()).metadata!.annotations!["video-storage/content"];
    // The claim is deleted while its pod goes on: nothing happens to the data.
    await environment.core.deleteNamespacedPersistentVolumeClaim({ namespace: CLAIMS, name: "scratch" });
    await sleep(3000);
    const kept = await environment.node.must("cat", [`${DIRECTORY}/slot-0/video`]);
    expect(kept.startsWith(SECRET)).toBe(true);
    await pods.close();
    await phase("Available");
    const offered = await volume();
    expect(offered.metadata!.annotations!["video-storage/content"]).not.toBe(content);
    expect(offered.spec!.claimRef).toEqual({
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      namespace: CLAIMS,
      name: "scratch",
    });
    await claim();
    pods = environment.pods(CLAIMS);
    const second = await pods.create("second", podBody(LOOK));
    expect(await pods.said(second)).toEqual({
      event: "result",
      entries: [],
      uid: USER,
      gid: USER,
      mode: 0o2750,
      options: ["noatime", "nodev", "noexec", "nosuid"],
    });
    const { stdout } = await environment.node.run("grep", ["-c", SECRET, `${FILES}/slot-0.img`]);
    expect(stdout.trim()).toBe("0");
  });

  it("have changed nothing that an engine would change back", async () => {
    const declaredVolume = manifests.find(({ id }) => id === `PersistentVolume/${VOLUME}`)!.object;
    const before = (await volume()).metadata!.resourceVersion;
    const after = await client.apply(declaredVolume);
    expect(after.metadata.resourceVersion).toBe(before);
  });

  it("are confined to themselves: an agent's own token changes no other node and no volume of one", async () => {
    const { core, kubeConfig } = environment;
    const { items } = await core.listNamespacedPod({ namespace: AGENTS });
    const agent = items[0]!.metadata!;
    const { status } = await core.createNamespacedServiceAccountToken({
      namespace: AGENTS,
      name: "node-agent",
      body: {
        spec: {
          audiences: [],
          boundObjectRef: { kind: "Pod", apiVersion: "v1", name: agent.name!, uid: agent.uid! },
        },
      },
    });
    const own = new KubeConfig();
    const cluster = kubeConfig.getCurrentCluster()!;
    own.loadFromClusterAndUser(cluster, { name: "agent", token: status!.token! });
    const asAgent = apiClient(own, CoreV1Api);
    const who = await apiClient(own, AuthenticationV1Api).createSelfSubjectReview({ body: {} });
    expect(who.status!.userInfo!.username).toBe(`system:serviceaccount:${AGENTS}:node-agent`);
    const merge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
    const refused = async (call: () => Promise<unknown>): Promise<string> => {
      try {
        await call();
        return "it was allowed";
      } catch (error) {
        if (error instanceof ApiException) return String(error.body);
        throw error;
      }
    };
    const other = "node-preparation-test-other";
    const labels = { "video-storage/node": other };
    await core.createNode({ body: { metadata: { name: other } } });
    const source = (await volume()).spec!;
    const foreign = { ...source, claimRef: undefined } as unknown as NonNullable<typeof source>;
    await core.createPersistentVolume({ body: { metadata: { name: other, labels }, spec: foreign } });
    try {
      const mark = { metadata: { labels: { "video-storage/prepared": "true" } } };
      expect(await refused(() => asAgent.patchNode({ name: other, body: mark }, merge))).toContain(
        "an agent may change its own node only",
      );
      const escape = { metadata: { labels: { "node-role.kubernetes.io/control-plane": "" } } };
      expect(await refused(() => asAgent.patchNode({ name: node(), body: escape }, merge))).toContain(
        "labels and annotations video-storage/* only",
      );
      const taint = { spec: { unschedulable: true } };
      expect(await refused(() => asAgent.patchNode({ name: node(), body: taint }, merge))).toContain(
        "labels and annotations video-storage/* only",
      );
      const note = { metadata: { annotations: { "video-storage/content": "x" } } };
      expect(
        await refused(() => asAgent.patchPersistentVolume({ name: other, body: note }, merge)),
      ).toContain("an agent may change local volumes of its own node only");
      const takeOver = { metadata: { labels: { "video-storage/node": node() } } };
      expect(
        await refused(() => asAgent.patchPersistentVolume({ name: other, body: takeOver }, merge)),
      ).toContain("an agent may not take over a volume of another node");
      expect(await refused(() => asAgent.listNamespacedSecret({ namespace: AGENTS }))).toContain("forbidden");
      expect(await refused(() => asAgent.deletePersistentVolume({ name: VOLUME }))).toContain("forbidden");
      // And what it is there for goes on being allowed.
      expect(await refused(() => asAgent.patchNode({ name: node(), body: mark }, merge))).toBe(
        "it was allowed",
      );
    } finally {
      await core.deletePersistentVolume({ name: other });
      await core.deleteNode({ name: other });
    }
  });
});
