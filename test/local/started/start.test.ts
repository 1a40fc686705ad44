import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { BatchV1Api, RbacAuthorizationV1Api } from "@kubernetes/client-node";
import type { CoreV1Api } from "@kubernetes/client-node";
import { jobPrefix } from "@video-storage/contract/layout";
import type { JobId, TenantId } from "@video-storage/contract/identity";
import type { StackContract } from "@video-storage/contract/stack-contract";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildWorkerPod } from "../../../components/lib/worker-pod.js";
import type { Run } from "../../../local/demo/jobs.js";
import { clientOfCluster } from "../../support/cluster-object-storage.js";
import { suspendCronJobs } from "../../support/cron-jobs.js";
import { local } from "../../support/local-environment.js";
import { prometheusOf } from "../../support/prometheus.js";
import { KEPT, nodeCommand, runningEnvironment } from "../../support/running-environment.js";
import type { RunningEnvironment, TestPods } from "../../support/running-environment.js";
import { slotsForThisFile } from "../../support/slots-for-this-file.js";
import { sha256 } from "../../support/sha256.js";
import { started } from "../../support/started-environment.js";

const { first, video, killed, interrupted } = started();
let environment: RunningEnvironment;
let state: string;
let run: Run;
let contract: StackContract;
let core: CoreV1Api;
let pods: TestPods;

// Its jobs are on them.
slotsForThisFile();
beforeAll(async () => {
  environment = await runningEnvironment();
  pods = environment.pods();
  ({ stateDirectory: state, contract, core } = environment);
  run = JSON.parse(readFileSync(join(state, "jobs.json"), "utf8")) as Run;
});
afterAll(async () => {
  await pods.close();
  // That it works has been seen, and what else is tested has the sweeps that it asks for: those of every minute would be
  // a tenth of all that this project does.
  if (!KEPT) await suspendCronJobs(environment.api(BatchV1Api), contract);
});

const job = (story: Run["jobs"][number]["story"]) => run.jobs.find((candidate) => candidate.story === story)!;

/** What is on a slot, read from the node's own mount and not through any of our programs. */
function onDisk(slot: string): string[] {
  const path = environment.node.path(`/mnt/video-jobs/slot-${slot.split("-").at(-1)}`);
  return readdirSync(path).filter((name) => !name.startsWith("."));
}

async function secret(namespace: string, name: string): Promise<Record<string, string>> {
  const { data } = await core.readNamespacedSecret({ namespace, name });
  return Object.fromEntries(
    Object.entries(data!).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
  );
}

const s3As = (name: string) => clientOfCluster(core, contract, { namespace: contract.namespace, name });

async function rowsAs(secretName: string, statement: string): Promise<Record<string, unknown>[]> {
  const { username, password } = await secret("video-jobs", secretName);
  const { host, port, database } = contract.catalogue;
  const client = new pg.Client({ host, port, database, user: username!, password: password! });
  await client.connect();
  try {
    return (await client.query(statement)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

describe("npm start", () => {
  it.skipIf(KEPT)("can be killed and interrupted at any moment, and started again", async () => {
    expect(killed.length).toBeGreaterThan(0);
    expect([interrupted!.code, interrupted!.output]).toEqual([
      130,
      expect.stringContaining("The same command goes on from here."),
    ]);
    expect([first.code, first.output]).toEqual([0, expect.stringContaining("Where to look next")]);
    const claims = await core.listNamespacedPersistentVolumeClaim({ namespace: contract.namespace });
    expect(claims.items.map(({ status }) => status!.phase)).toEqual(["Bound", "Bound", "Bound"]);
  });

  it("tells what happened to each job and why, and where to look next", () => {
    expect(first.code).toBe(0);
    expect(run.jobs.map(({ story }) => story)).toEqual(["uploaded", "cold", "failed", "active", "abandoned"]);
    for (const { jobId } of run.jobs) expect(first.output).toContain(jobId);
    expect(first.output).toMatch(/uploaded for \d+[sm], allowed are 30s/);
    expect(first.output).toMatch(/in object storage \(3 objects\)/);
    expect(first.output).toMatch(/failed for \d+[sm], allowed are 1m/);
    expect(first.output).toMatch(/its worker holds the lease; heartbeat \d+ s ago/);
    expect(first.output).toMatch(/without a heartbeat for \d+[sm], allowed are 40s/);
    expect(first.output).toContain("npm run stop");
  });

  it("leaves on the disks the active job and no other", () => {
    const left = contract.slots.flatMap(({ name }) => onDisk(name));
    expect(left).toEqual([job("active").jobId]);
  });

  it("keeps the video of the active job as it was served", () => {
    const { jobId, slot } = job("active");
    const file = environment.node.path(`/mnt/video-jobs/slot-${slot.split("-").at(-1)}/${jobId}/source.mp4`);
    const served = readFileSync(video);
    expect(served.toString("latin1", 4, 8)).toBe("ftyp");
    expect(readFileSync(file).equals(served)).toBe(true);
  });

  it("has in object storage the cold job's files, and its video to the byte", async () => {
    const { client, bucket } = await s3As("object-storage-cleanup");
    const { tenant, jobId } = job("cold");
    const prefix = jobPrefix(tenant as TenantId, jobId as JobId);
    const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    const names = listed.Contents!.map(({ Key }) => Key!);
    // Its log is small, so it lies in a pack.
    expect(names.map((name) => name.replace(/[0-9a-f]{32}/, "ID"))).toEqual(
      [".pack-ID.tar", "metadata.json", "source.mp4"].map((name) =>
        `${prefix}${name}`.replace(/[0-9a-f]{32}/, "ID"),
      ),
    );
    const object = await client.send(new GetObjectCommand({ Bucket: bucket, Key: `${prefix}source.mp4` }));
    const bytes = await object.Body!.transformToByteArray();
    expect(sha256(bytes)).toBe(sha256(readFileSync(video)));
    expect(object.ServerSideEncryption).toBe("AES256");
  });

  it("was swept by Jobs that the CronJob made on its schedule", async () => {
    const batch = environment.api(BatchV1Api);
    const { items } = await batch.listNamespacedJob({ namespace: contract.namespace });
    const sweeps = items.filter(({ metadata }) => metadata!.name!.startsWith("cleanup-"));
    expect(sweeps.length).toBeGreaterThan(0);
    for (const { metadata } of sweeps) {
      expect(metadata!.ownerReferences![0]).toMatchObject({ kind: "CronJob", name: "cleanup-node-0" });
      expect(metadata!.annotations!["batch.kubernetes.io/cronjob-scheduled-timestamp"]).toMatch(/:00Z$/);
    }
  });

  it("has for each swept job one intent and one outcome in a whole chain", async () => {
    const shown = await local("audit", environment.name, "--json");
    expect(shown.code).toBe(0);
    const entries = shown.output
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as { jobId: string; phase: string; action: string });
    const of = (jobId: string) =>
      entries.filter((entry) => entry.jobId === jobId).map(({ action, phase }) => `${action} ${phase}`);
    expect(of(job("uploaded").jobId)).toEqual(["delete intent", "delete outcome"]);
    expect(of(job("failed").jobId)).toEqual(["delete intent", "delete outcome"]);
    expect(of(job("abandoned").jobId)).toEqual(["delete intent", "delete outcome"]);
    expect(of(job("cold").jobId)).toEqual(["tier intent", "tier outcome"]);
    expect(of(job("active").jobId)).toEqual([]);
    expect((await local("audit", environment.name)).output).toContain("every chain whole");
  });

  it("has node-exporter's figures of each slot in Prometheus", async () => {
    const prometheus = await prometheusOf(environment);
    const sizes = await prometheus.samples(
      'node_filesystem_size_bytes{mountpoint=~"/mnt/video-jobs/slot-.*"}',
    );
    const mounts = sizes.map(({ labels }) => labels["mountpoint"]).sort();
    expect(mounts).toEqual(["/mnt/video-jobs/slot-0", "/mnt/video-jobs/slot-1", "/mnt/video-jobs/slot-2"]);
  });
});

describe("a worker's volume", () => {
  it("lets nothing on it be executed", async () => {
    const script = `
      import fs from "node:fs"; import { spawnSync } from "node:child_process";
      fs.writeFileSync("/tmp/video-jobs/program", "#!/usr/local/bin/node\\n", { mode: 0o755 });
      const { error } = spawnSync("/tmp/video-jobs/program");
      fs.unlinkSync("/tmp/video-jobs/program");
      console.log(JSON.stringify({ event: "result", code: error?.code }));`;
    const args = { contract, image: environment.images.demoWorker, slot: "node-0-slot-2", tenant: "acme" };
    const body = buildWorkerPod({ ...args, command: nodeCommand(script) });
    expect(await pods.result("noexec", body)).toEqual({
      event: "result",
      code: "EACCES",
    });
  });
});

describe("a tenant", () => {
  it("sees its own rows of the catalogue and no others", async () => {
    const tenants = async (name: string) => [
      ...new Set((await rowsAs(name, "select tenant_id from storage.jobs")).map((row) => row["tenant_id"])),
    ];
    expect(await tenants("catalogue-worker-acme")).toEqual(["acme"]);
    expect(await tenants("catalogue-worker-globex")).toEqual(["globex"]);
    await expect(rowsAs("catalogue-worker-acme", "delete from storage.audit")).rejects.toThrow(
      /permission denied/,
    );
  });

  it("reads and writes its own prefix of the bucket and no other", async () => {
    const { client, bucket } = await s3As("object-storage-worker-globex");
    const { tenant, jobId } = job("cold");
    const foreign = `${jobPrefix(tenant as TenantId, jobId as JobId)}source.mp4`;
    await expect(client.send(new GetObjectCommand({ Bucket: bucket, Key: foreign }))).rejects.toMatchObject({
      name: "AccessDenied",
    });
    await expect(
      client.send(new PutObjectCommand({ Bucket: bucket, Key: foreign, Body: "x" })),
    ).rejects.toMatchObject({ name: "AccessDenied" });
    const own = await client.send(
      new PutObjectCommand({ Bucket: bucket, Key: "tenants/globex/probe", Body: "x" }),
    );
    expect(own.ServerSideEncryption).toBe("AES256");
  });
});

describe("the workers' namespace", () => {
  it("refuses a pod that is not restricted", async () => {
    const body = {
      metadata: { name: "unrestricted" },
      spec: { containers: [{ name: "c", image: "x" }] },
    };
    await expect(core.createNamespacedPod({ namespace: contract.namespace, body })).rejects.toThrow(
      /violates PodSecurity/,
    );
  });

  it("lets the cleanup job look at pods, the probe write its report, and nobody anything else", async () => {
    const rbac = environment.api(RbacAuthorizationV1Api);
    const { items } = await rbac.listNamespacedRole({ namespace: contract.namespace });
    expect(JSON.parse(JSON.stringify(items.map(({ rules }) => rules)))).toEqual([
      [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }],
      [
        {
          apiGroups: [""],
          resourceNames: ["object-storage-capabilities"],
          resources: ["configmaps"],
          verbs: ["patch"],
        },
      ],
    ]);
  });
});

describe("npm start, run again", () => {
  it("reuses everything in well under a minute, and has no other command at work beside it", async () => {
    const active = await core.readNamespacedPod({ namespace: contract.namespace, name: job("active").pod });
    const both = await Promise.all([local("start", environment.name), local("start", environment.name)]);
    const [second, refused] = both.toSorted((one, other) => one.code - other.code);
    expect([refused!.code, refused!.output]).toEqual([
      1,
      expect.stringContaining("Another command is at work on this environment."),
    ]);
    expect([second!.code, second!.output]).toEqual([
      0,
      expect.stringContaining("Jobs ran at an earlier start"),
    ]);
    expect(second!.seconds).toBeLessThan(60);
    const same = await core.readNamespacedPod({ namespace: contract.namespace, name: job("active").pod });
    expect(same.metadata!.uid).toBe(active.metadata!.uid);
    expect(same.status!.containerStatuses![0]!.restartCount).toBe(0);
  });

  it("says what is wrong with a video and with an option, and changes nothing", async () => {
    const missing = await local("start", environment.name, "--video", "/nowhere.mp4");
    expect([missing.code, missing.output]).toEqual([
      1,
      expect.stringContaining("/nowhere.mp4 is not a file."),
    ]);
    const text = await local("start", environment.name, "--video", join(state, "jobs.json"));
    expect([text.code, text.output]).toEqual([
      1,
      expect.stringContaining("does not begin as an MP4 file does"),
    ]);
    const unknown = await local("start", environment.name, "--vidoe", "x");
    expect([unknown.code, unknown.output]).toEqual([2, expect.stringContaining("unknown option '--vidoe'")]);
  });

  it("keeps every secret out of its output and its logs", async () => {
    const secrets = await Promise.all(
      ["video-jobs", "video-storage"].map(
        async (namespace) => (await core.listNamespacedSecret({ namespace })).items,
      ),
    );
    const values = secrets
      .flat()
      .flatMap(({ data }) => Object.entries(data ?? {}))
      .filter(([key]) => !/^(username|accessKeyId)$/.test(key))
      .map(([, value]) => Buffer.from(value, "base64").toString());
    expect(values.length).toBeGreaterThan(5);
    const logs = readdirSync(join(state, "logs")).filter((name) => name.endsWith(".log"));
    expect(logs).toContain("kube-apiserver.log");
    const said = [first.output, ...logs.map((name) => readFileSync(join(state, "logs", name), "utf8"))].join(
      "\n",
    );
    expect(values.filter((value) => said.includes(value))).toEqual([]);
    expect(existsSync(join(state, "generated-secrets.json"))).toBe(true);
  });
});
