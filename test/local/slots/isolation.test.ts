import { join } from "node:path";

import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { AuthorizationV1Api, StorageV1Api } from "@kubernetes/client-node";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildUploaderPod } from "../../../components/lib/uploader-pod.js";
import { buildWorkerPod } from "../../../components/lib/worker-pod.js";
import { ensureSampleVideo } from "../../../local/demo/sample-video.js";
import { serveVideo } from "../../../local/demo/source-server.js";
import { keptNetwork } from "../../../local/environment/network.js";
import { cacheDirectory } from "../../../local/paths.js";
import { clientOfCluster } from "../../support/cluster-object-storage.js";
import { environmentWithoutJobs, nodeCommand } from "../../support/running-environment.js";
import type { PodBody, RunningEnvironment, TestPods } from "../../support/running-environment.js";
import { slotsForThisFile } from "../../support/slots-for-this-file.js";

const [ACME, GLOBEX] = ["acme", "globex"] as const;
const OWN = 1;
const OTHER = 2;

let environment: RunningEnvironment;
let pods: TestPods;
let jobId: string;
let videoBytes: number;

slotsForThisFile();
beforeAll(async () => {
  environment = await environmentWithoutJobs();
  pods = environment.pods();
  const video = join(cacheDirectory(), "sample-video.mp4");
  await ensureSampleVideo(video);
  const source = await serveVideo(video, (await keptNetwork(environment.stateDirectory)).hostAddress);
  try {
    const env = [{ name: "VIDEO_URL", value: source.url }];
    const owner = await pods.create("owner", worker(OWN, ACME, { args: ["extract", "stay"], env }));
    jobId = String((await pods.said(owner, "created"))["jobId"]);
    videoBytes = Number((await pods.said(owner, "written"))["bytes"] ?? 0);
  } finally {
    source.close();
  }
});

afterAll(() => pods.close());

type Worker = Partial<Parameters<typeof buildWorkerPod>[0]>;

function worker(slotIndex: number, tenant: string, change: Worker = {}) {
  const { contract, images } = environment;
  const slot = contract.slots[slotIndex]!.name;
  return buildWorkerPod({ contract, image: images.demoWorker, slot, tenant, ...change });
}

function uploader(slotIndex: number, command: string[]) {
  const { contract, images } = environment;
  const slot = contract.slots[slotIndex]!.name;
  return buildUploaderPod({ contract, image: images.demoWorker, slot, tenant: ACME, command });
}

/** The same pod, by a slip or on purpose, with the claim of another slot. */
function withClaimOf(slotIndex: number, body: ReturnType<typeof worker>) {
  const { claim } = environment.contract.slots[slotIndex]!;
  const volumes = body.spec.volumes.map((volume) =>
    volume.name === "jobs" ? { name: "jobs", persistentVolumeClaim: { claimName: claim } } : volume,
  );
  return { ...body, spec: { ...body.spec, volumes } };
}

/** What a process can do to the owner's job; each either a value or the error's code. */
const attempts = () =>
  nodeCommand(`
  import fs from "node:fs";
  const attempt = (work) => { try { return work(); } catch (error) { return error.code; } };
  const root = "/tmp/video-jobs", job = root + "/${jobId}";
  console.log(JSON.stringify({ event: "result",
    user: process.getuid(), groups: process.getgroups(),
    inRoot: attempt(() => fs.readdirSync(root).includes("${jobId}")),
    list: attempt(() => fs.readdirSync(job).sort()),
    read: attempt(() => fs.readFileSync(job + "/source.mp4").length),
    record: attempt(() => JSON.parse(fs.readFileSync(job + "/metadata.json")).tenantId),
    write: attempt(() => fs.writeFileSync(job + "/source.mp4", "x")),
    create: attempt(() => fs.writeFileSync(job + "/more", "x")),
    remove: attempt(() => fs.unlinkSync(job + "/source.mp4")),
    makeReadable: attempt(() => fs.chmodSync(job, 0o777)) }));`);

const DENIED = {
  ...{ event: "result", inRoot: "EACCES", list: "EACCES", read: "EACCES", record: "EACCES" },
  ...{ write: "EACCES", create: "EACCES", remove: "EACCES" },
};

describe("a job directory, as the client made it", () => {
  it("isn't seen by another worker's pod, which has another volume", async () => {
    const said = await pods.result("neighbour", worker(OTHER, ACME, { command: attempts() }));
    expect(said).toMatchObject({ inRoot: false, list: "ENOENT", read: "ENOENT", write: "ENOENT" });
    expect(said["user"]).toBe(environment.contract.slots[OTHER]!.runAsUser);
  });

  it.each([
    ["another worker's pod", ACME],
    ["a pod of another tenant", GLOBEX],
  ])("can't be read by %s even where that has the volume by mistake", async (_who, tenant) => {
    const body = withClaimOf(OWN, worker(OTHER, tenant, { command: attempts() }));
    const said = await pods.result(`thief-${tenant}`, body);
    const { runAsUser } = environment.contract.slots[OTHER]!;
    expect(said).toEqual({ ...DENIED, user: runAsUser, groups: [runAsUser], makeReadable: "EACCES" });
  });

  it("can be read and not written by the upload process", async () => {
    const said = await pods.result("uploader", uploader(OWN, attempts()));
    expect(said).toEqual({
      ...{ event: "result", user: 20_001, groups: [20_000, 20_001], inRoot: true },
      ...{ list: ["logs", "metadata.json", "source.mp4"], read: videoBytes, record: ACME },
      ...{ write: "EROFS", create: "EROFS", remove: "EROFS", makeReadable: "EROFS" },
    });
  });

  it("can't be written by the upload process even where its mount isn't read-only", async () => {
    const body = uploader(OWN, attempts());
    const containers = body.spec.containers.map((container) => ({
      ...container,
      volumeMounts: container.volumeMounts.map((mount) => ({ ...mount, readOnly: mount.name !== "jobs" })),
    }));
    const said = await pods.result("writer", { ...body, spec: { ...body.spec, containers } } as PodBody);
    expect(said).toMatchObject({
      ...{ list: ["logs", "metadata.json", "source.mp4"], read: videoBytes },
      ...{ write: "EACCES", create: "EACCES", remove: "EACCES", makeReadable: "EPERM" },
    });
  });

  it("is still its owner's alone after all of that", async () => {
    const { node } = environment;
    const path = `/mnt/video-jobs/slot-${OWN}/${jobId}`;
    const shown = await node.must("stat", ["--format=%u %g %a", path, `${path}/source.mp4`]);
    const { runAsUser } = environment.contract.slots[OWN]!;
    expect(shown.trim().split("\n")).toEqual([`${runAsUser} 20000 2750`, `${runAsUser} 20000 640`]);
  });
});

describe("a worker's pod", () => {
  it("has no token, no other tenant's secrets and no way to a root", async () => {
    const script = nodeCommand(`
      import fs from "node:fs";
      const attempt = (work) => { try { return work(); } catch (error) { return error.code; } };
      const status = Object.fromEntries(fs.readFileSync("/proc/self/status", "utf8").trim().split("\\n").map((line) => line.split(":\\t")));
      console.log(JSON.stringify({ event: "result",
        token: attempt(() => fs.readdirSync("/var/run/secrets/kubernetes.io/serviceaccount").length),
        login: fs.readFileSync("/run/secrets/catalogue/username", "utf8"),
        key: fs.readFileSync("/run/secrets/object-storage/accessKeyId", "utf8"),
        becomeRoot: attempt(() => process.setuid(0)),
        capabilities: [status.CapPrm, status.CapEff, status.CapBnd], noNewPrivileges: status.NoNewPrivs, seccomp: status.Seccomp,
        writeRoot: attempt(() => fs.writeFileSync("/file", "x")) }));`);
    const none = "0000000000000000";
    expect(await pods.result("look", worker(OTHER, GLOBEX, { command: script }))).toEqual({
      event: "result",
      token: "ENOENT",
      login: "worker_globex",
      key: "worker-globex",
      becomeRoot: "EPERM",
      capabilities: [none, none, none],
      noNewPrivileges: "1",
      seccomp: "2",
      writeRoot: "EROFS",
    });
  });
});

describe("a role's ServiceAccount", () => {
  const MATRIX = [
    ["get", "", "pods"],
    ["list", "", "pods"],
    ["create", "", "pods"],
    ["create", "", "pods/exec"],
    ["get", "", "secrets"],
    ["list", "", "secrets"],
    ["get", "", "configmaps"],
    ["get", "", "persistentvolumeclaims"],
    ["delete", "", "persistentvolumeclaims"],
    ["create", "batch", "jobs"],
    ["impersonate", "", "serviceaccounts"],
  ] as const;

  it.each([
    ["worker", "video-jobs", []],
    ["uploader", "video-jobs", []],
    ["cleanup", "video-jobs", ["get pods"]],
    ["object-storage", "video-storage", []],
    ["catalogue-migrations", "video-storage", []],
  ])("%s in %s may do nothing but %j", async (name, namespace, expected) => {
    const may = async (target: string) => {
      const allowed: string[] = [];
      for (const [verb, group, path] of MATRIX) {
        const [resource, subresource] = path.split("/") as [string, string?];
        const review = await environment.api(AuthorizationV1Api).createSubjectAccessReview({
          body: {
            spec: {
              user: `system:serviceaccount:${namespace}:${name}`,
              groups: [
                "system:serviceaccounts",
                `system:serviceaccounts:${namespace}`,
                "system:authenticated",
              ],
              resourceAttributes: {
                namespace: target,
                verb,
                group,
                resource,
                ...(subresource && { subresource }),
              },
            },
          },
        });
        if (review.status!.allowed) allowed.push(`${verb} ${path}`);
      }
      return allowed;
    };
    expect(await may(namespace)).toEqual(expected);
    expect(await may(namespace === "video-jobs" ? "video-storage" : "video-jobs")).toEqual([]);
    expect(await may("kube-system")).toEqual([]);
  });
});

async function secret(name: string): Promise<Record<string, string>> {
  const { core, contract } = environment;
  const { data } = await core.readNamespacedSecret({ namespace: contract.namespace, name });
  return Object.fromEntries(
    Object.entries(data!).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
  );
}

describe("the catalogue", () => {
  const outcome = async (secretName: string, statement: string) => {
    const { username, password } = await secret(secretName);
    const { host, port, database } = environment.contract.catalogue;
    const client = new pg.Client({ host, port, database, user: username!, password: password! });
    await client.connect();
    try {
      return (await client.query(statement)).rowCount ?? 0;
    } catch (error) {
      return (error as Error).message;
    } finally {
      await client.end();
    }
  };
  const own = () => `select from storage.jobs where job_id = '${jobId}'`;

  it("shows a job to its tenant, the uploader and the cleanup job, and not to another tenant", async () => {
    expect(await outcome("catalogue-worker-acme", own())).toBe(1);
    expect(await outcome("catalogue-uploader", own())).toBe(1);
    expect(await outcome("catalogue-cleanup", own())).toBe(1);
    expect(await outcome("catalogue-worker-globex", own())).toBe(0);
  });

  it.each([
    ["catalogue-worker-acme", "delete from storage.jobs"],
    ["catalogue-worker-acme", "update storage.tenant_logins set tenant_id = 'globex'"],
    ["catalogue-worker-acme", "set role storage_cleanup"],
    ["catalogue-worker-globex", "select * from storage.sweeps"],
    ["catalogue-uploader", "delete from storage.jobs"],
    ["catalogue-uploader", "select pg_read_file('/etc/passwd')"],
    ["catalogue-cleanup", "delete from storage.audit"],
    ["catalogue-cleanup", "create role intruder"],
  ])("refuses %s to %s", async (name, statement) => {
    expect(await outcome(name, statement)).toMatch(/permission denied/);
  });

  it("refuses a role that has no password of its own", async () => {
    const { host, port, database } = environment.contract.catalogue;
    const client = new pg.Client({ host, port, database, user: "worker_acme", password: "guessed" });
    await expect(client.connect()).rejects.toThrow(/password authentication failed/);
  });
});

describe("the object storage", () => {
  const probe = `tenants/${ACME}/isolation-test`;

  const as = async (name: string) => {
    const { core, contract } = environment;
    const { client, bucket: Bucket } = await clientOfCluster(core, contract, {
      namespace: contract.namespace,
      name,
    });
    const ended = (work: Promise<unknown>) =>
      work.then(
        () => "done",
        (error: Error) => error.name,
      );
    return {
      read: (Key: string) => ended(client.send(new GetObjectCommand({ Bucket, Key }))),
      write: (Key: string) => ended(client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))),
      remove: (Key: string) => ended(client.send(new DeleteObjectCommand({ Bucket, Key }))),
      list: (Prefix: string) => ended(client.send(new ListObjectsV2Command({ Bucket, Prefix }))),
    };
  };

  afterAll(async () => {
    expect(await (await as("object-storage-cleanup")).remove(probe)).toBe("done");
  });

  it("gives a tenant's worker its own prefix, to read and to write", async () => {
    const acme = await as("object-storage-worker-acme");
    expect(await acme.write(probe)).toBe("done");
    expect(await acme.read(probe)).toBe("done");
    expect(await acme.list(`tenants/${ACME}/`)).toBe("done");
    expect(await acme.remove(probe)).toBe("AccessDenied");
  });

  it("refuses another tenant's worker everything there, and the list of tenants", async () => {
    const globex = await as("object-storage-worker-globex");
    expect(await globex.read(probe)).toBe("AccessDenied");
    expect(await globex.write(probe)).toBe("AccessDenied");
    expect(await globex.list(`tenants/${ACME}/`)).toBe("AccessDenied");
    expect(await globex.list("tenants/")).toBe("AccessDenied");
  });

  it("lets the uploader read and not write", async () => {
    const role = await as("object-storage-uploader");
    expect(await role.read(probe)).toBe("done");
    expect(await role.write(probe)).toBe("AccessDenied");
    expect(await role.remove(probe)).toBe("AccessDenied");
  });
});

describe("the namespaces", () => {
  const unrestricted = {
    metadata: { name: "unrestricted" },
    spec: { containers: [{ name: "c", image: "x" }] },
  };

  it.each(["video-jobs", "video-storage"])("%s takes no pod that is not restricted", async (namespace) => {
    const { core } = environment;
    await expect(core.createNamespacedPod({ namespace, body: unrestricted })).rejects.toThrow(
      /violates PodSecurity.*restricted/,
    );
  });

  it("video-jobs takes no claim beyond its slots, of any class, and none that is larger", async () => {
    const { core, contract, api } = environment;
    const claim = (storage: string, storageClassName: string) => ({
      metadata: { name: "more" },
      spec: { accessModes: ["ReadWriteOnce"], storageClassName, resources: { requests: { storage } } },
    });
    const namespace = contract.namespace;
    const create = (storage: string, name: string) =>
      core.createNamespacedPersistentVolumeClaim({ namespace, body: claim(storage, name) });
    await expect(create("1Mi", contract.storageClass)).rejects.toThrow(/exceeded quota: worker-scratch/);
    await expect(create("1Mi", "elsewhere")).rejects.toThrow(
      /exceeded quota: worker-scratch|the claim's class is not one of this namespace/,
    );
    await expect(create("65Mi", contract.storageClass)).rejects.toThrow(/maximum storage usage per/);
    const { items } = await api(StorageV1Api).listStorageClass();
    expect(items.map(({ volumeBindingMode }) => volumeBindingMode)).toContain("WaitForFirstConsumer");
  });
});
