import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { strFromU8, unzipSync } from "fflate";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";

import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import { parseStackContract } from "@video-storage/contract/stack-contract";

import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { holdsSecret, manifestsOf } from "../../infra/manifests.js";
import type { Manifest } from "../../infra/manifests.js";
import { render, RenderError } from "../../infra/render.js";
import type { KubernetesObject, Rendered } from "../../infra/render.js";
import { LOCAL_CONFIGURATION, LOCAL_SECRETS } from "../support/local-configuration.js";

// Each rendering is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

const directory = mkdtempSync(join(tmpdir(), "render-"));
const secretsFile = join(directory, "secrets.json");
const options = {
  stack: "local",
  config: LOCAL_CONFIGURATION,
  secretConfig: LOCAL_SECRETS,
  keepSecretsIn: secretsFile,
};

let rendered: Rendered;
beforeAll(async () => {
  rendered = await render(options);
});

interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly spec: {
    readonly containers: readonly { readonly ports: readonly { readonly containerPort: number }[] }[];
    readonly volumes: readonly object[];
  };
}
interface ServiceObject {
  readonly metadata: { readonly annotations: Record<string, string> };
  readonly spec: {
    readonly selector: Record<string, string>;
    readonly ports: readonly [{ readonly port: number; readonly targetPort: number }];
  };
}

const object = (id: string) => rendered.manifests.find((manifest) => manifest.id === id)!.object;
const decoded = ({ data }: KubernetesObject) =>
  Object.entries(data as Record<string, string>).map(([key, value]) => [
    key,
    Buffer.from(value, "base64").toString(),
  ]);

describe("the rendered local stack", () => {
  it("declares exactly these objects", () => {
    // Jobs carry a hash of what they do.
    const ids = rendered.manifests.map(({ id }) => id.replace(/-[0-9a-f]{10}$/, "-#")).sort();
    expect(ids).toEqual([
      "ConfigMap/video-jobs/cleanup-config",
      "ConfigMap/video-jobs/object-storage-capabilities",
      "ConfigMap/video-jobs/video-storage-contract",
      "ConfigMap/video-storage/catalogue-logins",
      "ConfigMap/video-storage/exporter-config",
      "ConfigMap/video-storage/object-storage-probe",
      "ConfigMap/video-storage/object-storage-setup",
      "ConfigMap/video-storage/video-storage-alerts",
      "ConfigMap/video-storage/video-storage-dashboard",
      "CronJob/video-jobs/cleanup-node-0",
      "Deployment/video-storage/exporter",
      "Deployment/video-storage/pushgateway",
      "Job/video-storage/catalogue-migrations-#",
      "Job/video-storage/object-storage-probe-#",
      "Job/video-storage/object-storage-setup-#",
      "LimitRange/video-jobs/worker-scratch",
      "LimitRange/video-storage/system",
      "Namespace/video-jobs",
      "Namespace/video-storage",
      "NetworkPolicy/video-jobs/allow-catalogue",
      "NetworkPolicy/video-jobs/allow-dns",
      "NetworkPolicy/video-jobs/allow-kubernetes-api",
      "NetworkPolicy/video-jobs/allow-object-storage",
      "NetworkPolicy/video-jobs/allow-pushgateway",
      "NetworkPolicy/video-jobs/allow-scrapes-of-workers",
      "NetworkPolicy/video-jobs/default-deny",
      "NetworkPolicy/video-storage/allow-catalogue",
      "NetworkPolicy/video-storage/allow-dns",
      "NetworkPolicy/video-storage/allow-kubernetes-api",
      "NetworkPolicy/video-storage/allow-object-storage",
      "NetworkPolicy/video-storage/allow-object-storage-clients",
      "NetworkPolicy/video-storage/allow-pushgateway-clients",
      "NetworkPolicy/video-storage/allow-scrapes-of-exporter",
      "NetworkPolicy/video-storage/allow-scrapes-of-pushgateway",
      "NetworkPolicy/video-storage/default-deny",
      "PersistentVolume/video-jobs-node-0-slot-0",
      "PersistentVolume/video-jobs-node-0-slot-1",
      "PersistentVolume/video-jobs-node-0-slot-2",
      "PersistentVolume/video-storage-object-storage",
      "PersistentVolumeClaim/video-jobs/node-0-slot-0",
      "PersistentVolumeClaim/video-jobs/node-0-slot-1",
      "PersistentVolumeClaim/video-jobs/node-0-slot-2",
      "PersistentVolumeClaim/video-storage/object-storage",
      "ResourceQuota/video-jobs/cleanup-priority",
      "ResourceQuota/video-jobs/worker-scratch",
      "ResourceQuota/video-storage/object-storage",
      "ResourceQuota/video-storage/system",
      "Role/video-jobs/cleanup",
      "Role/video-jobs/object-storage-probe",
      "Role/video-storage/object-storage-probe",
      "RoleBinding/video-jobs/cleanup",
      "RoleBinding/video-jobs/object-storage-probe",
      "RoleBinding/video-storage/object-storage-probe",
      "Secret/video-jobs/catalogue-cleanup",
      "Secret/video-jobs/catalogue-uploader",
      "Secret/video-jobs/catalogue-worker-acme",
      "Secret/video-jobs/catalogue-worker-globex",
      "Secret/video-jobs/object-storage-cleanup",
      "Secret/video-jobs/object-storage-uploader",
      "Secret/video-jobs/object-storage-worker-acme",
      "Secret/video-jobs/object-storage-worker-globex",
      "Secret/video-storage/catalogue-admin",
      "Secret/video-storage/catalogue-archivist",
      "Secret/video-storage/catalogue-auditor",
      "Secret/video-storage/catalogue-logins",
      "Secret/video-storage/catalogue-monitor",
      "Secret/video-storage/object-storage-probe",
      "Secret/video-storage/object-storage-server",
      "Secret/video-storage/object-storage-setup",
      "Secret/video-storage/object-storage-tls",
      "Service/video-jobs/worker-metrics",
      "Service/video-storage/exporter",
      "Service/video-storage/object-storage",
      "Service/video-storage/pushgateway",
      "ServiceAccount/video-jobs/cleanup",
      "ServiceAccount/video-jobs/uploader",
      "ServiceAccount/video-jobs/worker",
      "ServiceAccount/video-storage/catalogue-migrations",
      "ServiceAccount/video-storage/exporter",
      "ServiceAccount/video-storage/object-storage",
      "ServiceAccount/video-storage/object-storage-probe",
      "ServiceAccount/video-storage/object-storage-setup",
      "ServiceAccount/video-storage/pushgateway",
      "StatefulSet/video-storage/object-storage",
      "StorageClass/video-jobs-local-ssd",
      "ValidatingAdmissionPolicy/video-jobs-claim-bounded",
      "ValidatingAdmissionPolicy/video-jobs-claim-needs-quota",
      "ValidatingAdmissionPolicy/video-jobs-pod-off-host",
      "ValidatingAdmissionPolicy/video-jobs-volume-pinned",
      "ValidatingAdmissionPolicyBinding/video-jobs-claim-bounded",
      "ValidatingAdmissionPolicyBinding/video-jobs-claim-needs-quota",
      "ValidatingAdmissionPolicyBinding/video-jobs-pod-off-host",
      "ValidatingAdmissionPolicyBinding/video-jobs-volume-pinned",
    ]);
  });

  it("says the same in outputs and ConfigMap, and workers can read it", () => {
    // What only an engine can know: it is read from a Job that has run.
    const { contract, objectStorageCapabilities, ...fields } = rendered.outputs;
    expect(objectStorageCapabilities).toBeNull();
    const configMap = object("ConfigMap/video-jobs/video-storage-contract").data as Record<string, string>;
    expect(fields).toEqual(contract);
    expect(JSON.parse(configMap["contract.json"]!)).toEqual(contract);
    expect(parseStackContract(contract)).toEqual(contract);
    expect(contract.slots).toEqual(
      [0, 1, 2].map((index) => ({
        name: `node-0-slot-${index}`,
        node: "node-0",
        claim: `node-0-slot-${index}`,
        runAsUser: 21_000 + index,
        capacityBytes: 67_108_864,
        tenant: null,
        placement: null,
        subPath: null,
      })),
    );
    expect(contract.objectStorage).toEqual({
      endpoint: "https://object-storage.video-storage.svc:9000",
      region: "us-east-1",
      bucket: "video-storage",
      forcePathStyle: true,
      credentials: "secret",
      caFile: "/run/secrets/object-storage/ca.crt",
    });
  });

  it("names Secrets, ServiceAccounts, claims and CronJobs that exist", () => {
    const { contract } = rendered.outputs;
    const secrets = [contract.uploader, ...contract.tenants].flatMap((holder) => [
      holder.catalogueSecret,
      holder.objectStorageSecret!,
    ]);
    const ids = [
      ...secrets.map((name) => `Secret/video-jobs/${name}`),
      ...contract.slots.map(({ claim }) => `PersistentVolumeClaim/video-jobs/${claim}`),
      ...contract.cleanup.cronJobs.map((name) => `CronJob/video-jobs/${name}`),
      ...[contract.worker, contract.uploader].map(
        (role) => `ServiceAccount/video-jobs/${role.serviceAccount}`,
      ),
      `StorageClass/${contract.storageClass}`,
    ];
    const declared = rendered.manifests.map(({ id }) => id);
    expect(ids.filter((id) => !declared.includes(id))).toEqual([]);
    expect(ids).toHaveLength(13);
  });

  it("gives the sweep settings that it accepts", () => {
    const data = object("ConfigMap/video-jobs/cleanup-config").data as Record<string, string>;
    expect(parseCleanupConfig(JSON.parse(data["cleanup.json"]!))).toEqual({
      version: 1,
      retention: {
        uploadedSeconds: 30,
        completedSeconds: 60,
        failedSeconds: 60,
        abandonedSeconds: 40,
        trashSeconds: 60,
        stagedSeconds: 3600,
        orphanedSeconds: 3600,
        completedAction: "tier",
      },
      heartbeatTimeoutSeconds: 20,
      namespace: "video-jobs",
      catalogue: { host: "10.231.0.2", port: 5432, database: "storage", tls: false },
      objectStorage: rendered.outputs.objectStorage,
      pressure: {
        bytes: { highWaterPercent: 85, lowWaterPercent: 70 },
        inodes: { highWaterPercent: 85, lowWaterPercent: 70 },
        unuploaded: "keep",
        floor: { seconds: 0, bytes: 0 },
        tenantFloors: {},
      },
      tenantRetention: { limits: {}, overrides: {} },
      tiering: { packBelowBytes: 131_072, concurrency: 4 },
      janitor: {
        periodSeconds: 86_400,
        unfinishedUploadSeconds: 86_400,
        unuploaded: "keep",
        doubtAboveObjects: 100,
        doubtAbovePercent: 20,
      },
      checkPods: true,
      metrics: { pushgateway: "http://pushgateway.video-storage.svc:9091", environment: "local" },
    });
  });

  it("gives the exporter the same documents as the workers and the sweep, and the monitor's login", () => {
    const data = object("ConfigMap/video-storage/exporter-config").data as Record<string, string>;
    const settings = object("ConfigMap/video-jobs/cleanup-config").data as Record<string, string>;
    expect(JSON.parse(data["contract.json"]!)).toEqual(rendered.outputs.contract);
    expect(JSON.parse(data["cleanup.json"]!)).toEqual(JSON.parse(settings["cleanup.json"]!));
    expect(rendered.outputs.contract.metrics).toEqual({ port: 9401 });
    const { template } = object("Deployment/video-storage/exporter").spec as { template: PodTemplate };
    expect(template.spec).toMatchObject({
      serviceAccountName: "exporter",
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 20_012, seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(template.spec.volumes).toContainEqual({
      name: "catalogue",
      secret: { secretName: "catalogue-monitor", defaultMode: 0o444 },
    });
  });

  it("leads each scrape to the port that its container listens on", () => {
    const ports = ["pushgateway", "exporter"].map((name) => {
      const { template } = object(`Deployment/video-storage/${name}`).spec as { template: PodTemplate };
      const { spec, metadata } = object(`Service/video-storage/${name}`) as unknown as ServiceObject;
      expect(spec.selector).toEqual(
        Object.fromEntries(Object.entries(template.metadata.labels).filter(([key]) => key in spec.selector)),
      );
      const [{ port, targetPort }] = spec.ports;
      expect(metadata.annotations["prometheus.io/port"]).toBe(String(port));
      return [targetPort, template.spec.containers[0]!.ports[0]!.containerPort];
    });
    expect(ports).toEqual([
      [9091, 9091],
      [9400, 9400],
    ]);
    const { spec } = object("Service/video-jobs/worker-metrics") as unknown as ServiceObject;
    expect(spec).toMatchObject({ clusterIP: "None", ports: [{ port: 9401 }] });
  });

  it("comes in an order in which everything follows what it depends on", () => {
    const order = rendered.manifests.map(({ id }) => id);
    const late = rendered.manifests.filter(({ id, dependsOn }) =>
      dependsOn.some((needed) => order.indexOf(needed) === -1 || order.indexOf(needed) >= order.indexOf(id)),
    );
    expect(late).toEqual([]);
    const cronJob = rendered.manifests.find(({ id }) => id === "CronJob/video-jobs/cleanup-node-0")!;
    const jobs = cronJob.dependsOn
      .filter((id) => id.startsWith("Job/"))
      .map((id) => id.replace(/-[0-9a-f]{10}$/, ""));
    expect(jobs.sort()).toEqual([
      "Job/video-storage/catalogue-migrations",
      "Job/video-storage/object-storage-probe",
      "Job/video-storage/object-storage-setup",
    ]);
  });

  it("puts every object in a namespace after that namespace", () => {
    const without = rendered.manifests.filter(
      ({ object: { metadata }, dependsOn }) =>
        metadata.namespace !== undefined && !dependsOn.includes(`Namespace/${metadata.namespace}`),
    );
    expect(without.map(({ id }) => id)).toEqual([]);
  });

  it("leaves the engine's annotations out", () => {
    expect(JSON.stringify(rendered.manifests)).not.toContain("pulumi.com/");
    expect(object("PersistentVolumeClaim/video-jobs/node-0-slot-0").metadata).toEqual({
      name: "node-0-slot-0",
      namespace: "video-jobs",
      labels: {
        "app.kubernetes.io/name": "worker",
        "app.kubernetes.io/instance": "local",
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/part-of": "video-storage",
        "app.kubernetes.io/managed-by": "video-storage",
      },
    });
  });
});

describe("secrets", () => {
  it("are in Secrets alone", () => {
    const secrets = rendered.manifests
      .filter(({ object: { kind } }) => kind === "Secret")
      .map((m) => m.object);
    const publicNames =
      /^(worker_|worker-|uploader$|cleanup$|probe$|auditor$|monitor$|archivist$|root-of-object-storage$)/;
    const values = [...new Set(secrets.flatMap(decoded).map(([, value]) => value!))].filter(
      (v) => !publicNames.test(v),
    );
    const rest = JSON.stringify(rendered.manifests.filter(({ object: { kind } }) => kind !== "Secret"));
    // Passwords of twelve users and a root, two addresses with keys, the archive of MinIO's users, and what TLS needs.
    expect(values).toHaveLength(19);
    expect(
      values.filter((value) => rest.includes(value) || JSON.stringify(rendered.outputs).includes(value)),
    ).toEqual([]);
  });

  it("are held as secrets by the engine, so that its state encrypts them", () => {
    const open = rendered.resources.filter(
      ({ type, inputs }) => type.endsWith(":Secret") && !holdsSecret(inputs),
    );
    expect(open.map(({ name }) => name)).toEqual([]);
    const others = rendered.resources.filter(
      ({ type, inputs }) => !type.endsWith(":Secret") && holdsSecret(inputs),
    );
    expect(others.map(({ type }) => type)).toEqual(["pulumi:providers:kubernetes"]);
  });

  it("are one password for each login, in its own Secret and in that of the migrations", () => {
    const logins = Object.fromEntries(decoded(object("Secret/video-storage/catalogue-logins"))) as Record<
      string,
      string
    >;
    expect(Object.keys(logins).sort()).toEqual([
      "archivist",
      "auditor",
      "cleanup",
      "monitor",
      "uploader",
      "worker_acme",
      "worker_globex",
    ]);
    expect(new Set(Object.values(logins)).size).toBe(7);
    expect(Object.values(logins).filter((value) => !/^[A-Za-z0-9]{40}$/.test(value))).toEqual([]);
    expect(Object.fromEntries(decoded(object("Secret/video-jobs/catalogue-worker-acme")))).toEqual({
      username: "worker_acme",
      password: logins["worker_acme"],
    });
    expect(decoded(object("Secret/video-storage/catalogue-admin"))).toEqual([
      ["url", LOCAL_SECRETS.catalogueAdminUrl],
    ]);
  });

  it("include a key of 32 bytes for the objects", () => {
    const server = Object.fromEntries(
      decoded(object("Secret/video-storage/object-storage-server")),
    ) as Record<string, string>;
    const [name, key] = server["kms-key"]!.split(":");
    expect(name).toBe("video-storage");
    expect(Buffer.from(key!, "base64")).toHaveLength(32);
  });

  it("are with MinIO's set-up as one archive: each user's key, which its own Secret has, and its policy", () => {
    const { data } = object("Secret/video-storage/object-storage-setup") as unknown as {
      data: Record<string, string>;
    };
    expect(Object.keys(data).sort()).toEqual(["ca.crt", "identities.zip", "root-password", "root-user"]);
    const files = unzipSync(Buffer.from(data["identities.zip"]!, "base64"));
    const read = (name: string) =>
      JSON.parse(strFromU8(files[`iam-assets/${name}.json`]!)) as Record<string, Record<string, unknown>>;
    const users = read("users");
    const names = ["worker-acme", "worker-globex", "uploader", "cleanup", "probe"];
    expect(Object.keys(users)).toEqual(names);
    const { secretAccessKey } = Object.fromEntries(
      decoded(object("Secret/video-jobs/object-storage-worker-acme")),
    ) as Record<string, string>;
    expect(users["worker-acme"]).toEqual({ secretKey: secretAccessKey, status: "enabled" });
    expect(read("user_mappings")).toEqual(
      Object.fromEntries(names.map((name) => [name, { version: 1, policy: name }])),
    );
    expect(Object.keys(read("policies"))).toEqual(names);
    expect(JSON.stringify(read("policies")["worker-acme"])).toContain("/tenants/acme/");
  });

  it("have what is given as data beside what is given as text, which goes before it", () => {
    const [first] = rendered.resources.filter(({ type }) => type.endsWith(":Secret"));
    const inputs = {
      ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "both", namespace: "n" } },
      ...{ data: { archive: "AAEC", key: "AAEC" }, stringData: { key: "text" } },
    };
    const [{ object: made }] = manifestsOf([{ ...first!, inputs, dependencies: [] }]) as [Manifest];
    expect([made.data, made.stringData]).toEqual([{ archive: "AAEC", key: "dGV4dA==" }, undefined]);
  });

  it("are kept in a file that only its owner reads", () => {
    expect(statSync(secretsFile).mode & 0o777).toBe(0o600);
    // Twelve catalogue and bucket users, the bucket's root, its key, and what its certificates are made from.
    expect(Object.keys(JSON.parse(readFileSync(secretsFile, "utf8")) as object)).toHaveLength(16);
  });
});

describe("rendering again", () => {
  it("gives the same, to the last value", async () => {
    const again = await render(options);
    const byUrn = ({ resources }: Rendered) => [...resources].sort((a, b) => (a.urn < b.urn ? -1 : 1));
    expect(byUrn(again)).toEqual(byUrn(rendered));
    expect(again.manifests).toEqual(rendered.manifests);
    expect(again.outputs).toEqual(rendered.outputs);
  });

  it("with other passwords runs the set-up jobs again, under other names", async () => {
    const rotated = await render({ ...options, config: { ...LOCAL_CONFIGURATION, credentialRotation: 2 } });
    const jobs = ({ manifests }: Rendered) =>
      manifests.map(({ id }) => id).filter((id) => id.startsWith("Job/"));
    expect(jobs(rotated).filter((id) => jobs(rendered).includes(id))).toEqual([]);
    const key = ({ manifests }: Rendered) =>
      decoded(manifests.find(({ id }) => id === "Secret/video-storage/object-storage-server")!.object).find(
        ([name]) => name === "kms-key",
      );
    expect(key(rotated)).toEqual(key(rendered));
  });

  it("without object storage declares none of it", async () => {
    const config = {
      ...LOCAL_CONFIGURATION,
      fillRate: "1Ki",
      objectStorage: { backend: "none" },
      retention: { completedAction: "keep" },
    };
    // Fields of the backing that the stack's file speaks of must not survive the change of backing.
    await expect(render({ ...options, config })).rejects.toThrow("video-storage:objectStorage.volumeSize");
    const { manifests, outputs } = await render({
      ...options,
      stack: "elsewhere",
      config: {
        ...config,
        slotSize: "64Mi",
        reserve: "1Mi",
        tenants: ["acme"],
        catalogue: { host: "db.example.test" },
      },
    });
    expect(manifests.filter(({ id }) => /object-storage/.test(id))).toEqual([]);
    expect(outputs.objectStorage).toBeNull();
    expect(outputs.tenants).toEqual([
      { id: "acme", catalogueSecret: "catalogue-worker-acme", objectStorageSecret: null },
    ]);
  });
});

describe("what can't be rendered", () => {
  it("is told in the words of the configuration", async () => {
    const failure = await render({
      ...options,
      config: { ...LOCAL_CONFIGURATION, slotSize: "big", slotsize: "1Gi" },
    }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RenderError);
    expect((failure as Error).message.split("\n").map((line) => line.split(";")[0])).toEqual([
      "the configuration of stack local has 2 problems",
      '  video-storage:slotsize is "1Gi"',
      '  video-storage:slotSize is "big"',
    ]);
  });

  it("includes a key of the object storage that is none, without showing it", async () => {
    const objectStorageKey = "c2hvcnQ=";
    const secretConfig = { ...LOCAL_SECRETS, objectStorageKey };
    const failure = (await render({ ...options, secretConfig }).catch((error: unknown) => error)) as Error;
    expect(failure.message).toContain(
      'video-storage:objectStorageKey is "(secret)"; allowed: 32 bytes in base 64',
    );
    expect(failure.message).not.toContain(objectStorageKey);
  });

  it("includes a broken file of secrets, which isn't replaced", async () => {
    const broken = join(directory, "broken.json");
    writeFileSync(broken, "{");
    await expect(render({ ...options, keepSecretsIn: broken })).rejects.toThrow("restore it, or remove it");
    expect(readFileSync(broken, "utf8")).toBe("{");
  });
});

describe("the command", () => {
  const main = fileURLToPath(new URL("../../infra/render-main.ts", import.meta.url));
  const run = promisify(execFile);
  const command = (...args: string[]) => run(process.execPath, [...RUNS_TYPESCRIPT, main, ...args]);

  it("writes a file for each object, with placeholders for secrets", async () => {
    const out = join(directory, "manifests");
    const config = join(directory, "config.json");
    writeFileSync(config, JSON.stringify(LOCAL_CONFIGURATION));
    const { stdout } = await command("--stack", "local", "--out", out, "--config", config);
    expect(stdout).toBe(`93 objects of stack local written to ${out}\n`);
    expect(readdirSync(out).sort()).toEqual(["_cluster", "video-jobs", "video-storage"]);
    const read = (file: string) => parse(readFileSync(join(out, file), "utf8")) as KubernetesObject;
    expect(read("_cluster/storageclass-video-jobs-local-ssd.yaml")).toEqual(
      object("StorageClass/video-jobs-local-ssd"),
    );
    expect(decoded(read("video-jobs/secret-catalogue-cleanup.yaml"))).toEqual([
      ["password", "placeholder"],
      ["username", "placeholder"],
    ]);
  });

  it("says how it is used, and ends with 2", async () => {
    const failure = await command("--stack", "local").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 2 });
    expect((failure as { stderr: string }).stderr).toContain("usage: npm run render");
  });
});
