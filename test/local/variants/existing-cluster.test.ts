import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { CoreV1Api } from "@kubernetes/client-node";
import { METRICS } from "@video-storage/contract/metrics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { apiClient } from "../../../local/api-client.js";
import type { Run } from "../../../local/demo/jobs.js";
import { buildPrograms } from "../../../local/build/programs.js";
import { findSandbox } from "../../../local/environment/sandbox.js";
import { stateDirectory } from "../../../local/paths.js";
import { kubeConfigOf, local } from "../../support/local-environment.js";
import type { Ended } from "../../support/local-environment.js";

// A cluster that is built here, and bare, stands for somebody's own: what uses it knows its kubeconfig alone.
const OWNER = "test-owner";
const GUEST = "test-guest";
const CONTEXT = ["--context", "video-storage"];

let loader: string[];
let mountsOfNode: string;

beforeAll(async () => {
  await destroyBoth();
  const built = await local("start", OWNER, "--bare");
  expect(built.output).toContain("Ready, with nothing in it");
  const { pid } = (await findSandbox(stateDirectory(OWNER)))!;
  mountsOfNode = `/proc/${pid}/mounts`;
  const ctr = join((await buildPrograms(["runtime"]))["runtime"]!, "ctr");
  const inside = `nsenter --target ${pid} --mount --net --pid --wd=/ --`;
  loader = ["--image-loader", `${inside} ${ctr} --namespace k8s.io images import --local {}`];
  process.env["KUBECONFIG"] = join(stateDirectory(OWNER), "admin.kubeconfig");
});

afterAll(async () => {
  await destroyBoth();
  expect(existsSync(stateDirectory(OWNER))).toBe(false);
});

async function destroyBoth(): Promise<void> {
  await local("destroy", GUEST);
  await local("destroy", OWNER);
}

async function namespaces(): Promise<string[]> {
  const { items } = await apiClient(kubeConfigOf(OWNER), CoreV1Api).listNamespace();
  return items.map(({ metadata }) => metadata!.name!).filter((name) => name.startsWith("video-"));
}

describe("on a cluster that is somebody's own", () => {
  it("refuses a context that there is not, and names those that there are", async () => {
    const { code, output } = await local("start", GUEST, "--context", "elsewhere");
    expect(output).toContain("has no complete context elsewhere; it has video-storage.");
    expect(code).toBe(1);
  });

  it("asks for an image loader, and says when one leaves the images unfound", async () => {
    const without = await local("start", GUEST, ...CONTEXT);
    expect(without.output).toContain("nothing says how they reach the nodes of context video-storage");
    const idle = await local("start", GUEST, ...CONTEXT, "--image-loader", "true {}");
    expect(idle.output).toMatch(
      /still do not find localhost\/video-storage\/minio@sha256:[0-9a-f]{64} and \d+ more/,
    );
    expect([without.code, idle.code]).toEqual([1, 1]);
  });

  let started: Ended;
  it("runs the whole story after that, and says which cluster it uses and why", async () => {
    started = await local("start", GUEST, ...loader);
    expect(started.output).toContain(
      "Runs on your cluster, context video-storage, because this environment was started on it",
    );
    expect(started.output).toContain("one privileged pod runs on node node-0");
    expect(started.output).toMatch(/uploaded for \d+[sm], allowed are 30s/);
    expect(started.output).toMatch(/in object storage \(3 objects\)/);
    expect(started.output).toMatch(/without a heartbeat for \d+[sm], allowed are 40s/);
    expect(started.output).toContain("its worker holds the lease");
    expect(started.code).toBe(0);
    const run = JSON.parse(await readFile(join(stateDirectory(GUEST), "jobs.json"), "utf8")) as Run;
    expect(run.jobs.map(({ story }) => story)).toEqual(["uploaded", "cold", "failed", "active", "abandoned"]);
  });

  it("has slots of a fixed size on the node, on which nothing can be executed", async () => {
    const mounts = (await readFile(mountsOfNode, "utf8"))
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, target]) => target?.startsWith("/mnt/video-storage-local/"));
    expect(mounts.map(([, target]) => target!.split("/").at(-1)).sort()).toEqual([
      "object-storage",
      "slot-0",
      "slot-1",
      "slot-2",
    ]);
    for (const [, , type, options] of mounts) {
      expect(type).toBe("ext4");
      expect(options!.split(",")).toEqual(expect.arrayContaining(["noexec", "nodev", "nosuid"]));
    }
  });

  it("has its slots watched by Prometheus, under the stack's rules", async () => {
    const prometheus = { name: "prometheus:9090", namespace: "video-storage-local" };
    const core = apiClient(kubeConfigOf(GUEST), CoreV1Api);
    const ask = (path: string): Promise<string> =>
      core.connectGetNamespacedServiceProxyWithPath({ ...prometheus, path });
    expect(JSON.stringify(await ask("api/v1/label/mountpoint/values"))).toContain(
      "/mnt/video-storage-local/slot-2",
    );
    expect(JSON.stringify(await ask("api/v1/rules"))).toContain("VideoStorageVolumeNearlyFull");
    // By the Services' names, as it may ask Kubernetes for none: sweeps, the catalogue, and the worker that stays.
    const names = JSON.stringify(await ask("api/v1/label/__name__/values"));
    for (const { name } of [METRICS.sweepLastSuccess, METRICS.catalogueUp, METRICS.workerActiveJobs]) {
      expect(names).toContain(name);
    }
  });

  it("shows its audit through the API server alone", async () => {
    const { output, code } = await local("audit", GUEST);
    expect(output).toMatch(/✓ \d+ rows, every chain whole/);
    expect(code).toBe(0);
  });

  it("is left to the environment that has it", async () => {
    const { output, code } = await local("start", `${GUEST}-2`, ...CONTEXT, ...loader);
    await local("destroy", `${GUEST}-2`);
    expect(output).toContain("has a namespace video-storage-local already, and it belongs to ");
    expect(code).toBe(1);
  });

  it("has no pod of it running after stop, and all its data after the next start", async () => {
    expect((await local("stop", GUEST)).code).toBe(0);
    const pods = await apiClient(kubeConfigOf(OWNER), CoreV1Api).listPodForAllNamespaces();
    const running = pods.items.filter(({ status }) => status?.phase === "Running");
    expect(running.map(({ metadata }) => metadata!.namespace)).toEqual(["kube-system"]);
    const again = await local("start", GUEST, "--no-jobs");
    expect(again.code).toBe(0);
    expect((await local("audit", GUEST)).output).toMatch(/✓ \d+ rows, every chain whole/);
  });

  it("is as it was after destroy", async () => {
    expect(await namespaces()).toEqual(["video-jobs", "video-storage", "video-storage-local"]);
    const { output, code } = await local("destroy", GUEST);
    expect(output).toContain("Nothing of it is left.");
    expect(code).toBe(0);
    expect(await namespaces()).toEqual([]);
    const { items } = await apiClient(kubeConfigOf(OWNER), CoreV1Api).listPersistentVolume();
    expect(items).toEqual([]);
    expect(await readFile(mountsOfNode, "utf8")).not.toContain("video-storage-local");
    const root = mountsOfNode.replace(/mounts$/, "root");
    expect(existsSync(`${root}/mnt/video-storage-local`)).toBe(false);
    expect(existsSync(`${root}/var/lib/video-storage-local`)).toBe(false);
    expect(existsSync(stateDirectory(GUEST))).toBe(false);
  });
});
