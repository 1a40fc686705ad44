import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { BatchV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { apiClient } from "../../local/api-client.js";
import { destroy, findPulumi, preview, up } from "../../infra/engine.js";
import type { EngineOptions } from "../../infra/engine.js";
import { destroyEnvironment, startEnvironment } from "../../local/environment/environment.js";
import type { Environment } from "../../local/environment/environment.js";
import { SLOTS_DIRECTORY } from "../../local/environment/disks.js";
import { findSandbox } from "../../local/environment/sandbox.js";
import { localConfiguration, localSlots, SYSTEM_NAMESPACE, WORKERS_NAMESPACE } from "../../local/stack.js";

const NAME = "engine";

/** Kinds of steps and the names of the resources they concern, of what isn't left as it is. */
type Plan = Record<string, string[]>;

describe.skipIf(findPulumi() === undefined)(
  "the engine and a cluster (skipped: no pulumi CLI on PATH)",
  () => {
    const directory = mkdtempSync(join(tmpdir(), "engine-cluster-"));
    let environment: Environment;
    let options: EngineOptions;
    let core: CoreV1Api;
    let batch: BatchV1Api;
    let declared: number;

    beforeAll(async () => {
      await destroyEnvironment(NAME);
      environment = await startEnvironment(
        NAME,
        { kind: "built", why: "this test asks for it" },
        localSlots(),
      );
      const kubeconfig = readFileSync(environment.cluster.kubeconfig, "utf8");
      options = {
        stack: "local",
        stateDirectory: join(directory, "state"),
        ...localConfiguration(environment, kubeconfig),
      };
      const access = new KubeConfig();
      access.loadFromString(kubeconfig);
      core = apiClient(access, CoreV1Api);
      batch = apiClient(access, BatchV1Api);
    });
    afterAll(async () => {
      await destroyEnvironment(NAME);
    });

    const having = (change: Record<string, unknown>): EngineOptions => ({
      ...options,
      config: { ...options.config, ...change },
    });
    const nodes = () => options.config!["nodes"] as Record<string, unknown>[];

    async function planned(changed: EngineOptions): Promise<Plan> {
      const { events } = await preview(changed);
      const plan: Plan = {};
      for (const { resourcePreEvent } of events) {
        if (!resourcePreEvent) continue;
        const { op, urn } = resourcePreEvent.metadata;
        const name = urn.split("::").at(-1)!;
        // The engine reads the last deployment's outputs, and the stack itself is no resource of the cluster.
        if (op !== "same" && op !== "read" && !urn.includes("pulumi:pulumi:Stack::"))
          (plan[op] ??= []).push(name);
      }
      return Object.fromEntries(Object.entries(plan).map(([op, names]) => [op, names.sort()]));
    }

    /** An up, and how many resources it left and changed; what the engine reads of itself is no resource. */
    async function changesOf(changed: EngineOptions): Promise<Record<string, number>> {
      const { read, ...changes } = (await up(changed)).changes;
      expect([undefined, 1]).toContain(read);
      return changes;
    }

    /** The CLI itself, on the stack that the engine has from this test. */
    async function pulumi(...args: string[]): Promise<{ stdout: string }> {
      const { stack, stateDirectory } = options;
      const settings = {
        PULUMI_BACKEND_URL: pathToFileURL(join(stateDirectory, "state")).href,
        PULUMI_CONFIG_PASSPHRASE_FILE: join(stateDirectory, "passphrase"),
        PULUMI_SKIP_UPDATE_CHECK: "true",
      };
      return promisify(execFile)(findPulumi()!, [...args, "--stack", stack, "--non-interactive"], {
        cwd: join(stateDirectory, "workspace"),
        env: { ...process.env, ...settings },
      });
    }

    /** What holds or places data, with what shows whether it is still the same. */
    async function placesOfData(): Promise<Record<string, string>> {
      const claims = [
        ...(await core.listNamespacedPersistentVolumeClaim({ namespace: WORKERS_NAMESPACE })).items,
        ...(await core.listNamespacedPersistentVolumeClaim({ namespace: SYSTEM_NAMESPACE })).items,
      ];
      const volumes = (await core.listPersistentVolume()).items;
      return Object.fromEntries(
        [...claims, ...volumes].map(({ metadata }) => [
          `${metadata!.namespace ?? "volume"}/${metadata!.name}`,
          metadata!.uid!,
        ]),
      );
    }

    /** The version of every object of ours that the workers' namespace and the system's have. */
    async function versions(): Promise<string[]> {
      const of = (items: { metadata?: { name?: string; resourceVersion?: string } }[]) =>
        items.map(({ metadata }) => `${metadata!.name} ${metadata!.resourceVersion}`);
      const namespace = WORKERS_NAMESPACE;
      return [
        ...of((await core.listNamespacedConfigMap({ namespace })).items),
        ...of((await core.listNamespacedSecret({ namespace })).items),
        ...of((await core.listNamespacedPersistentVolumeClaim({ namespace })).items),
        ...of((await core.listPersistentVolume()).items),
        ...of((await core.listNamespacedConfigMap({ namespace: SYSTEM_NAMESPACE })).items),
      ].sort();
    }

    it("comes up the first time in one go, though no pod uses the workers' claims yet", async () => {
      const { changes, outputs } = await up(options);
      declared = changes.create!;
      expect(changes).toEqual({ create: declared });
      const { data } = await core.readNamespacedConfigMap({
        namespace: WORKERS_NAMESPACE,
        name: "video-storage-contract",
      });
      expect(JSON.parse(data!["contract.json"]!)).toEqual(outputs.contract);
      const pods = (await core.listNamespacedPod({ namespace: WORKERS_NAMESPACE })).items;
      expect(pods.filter(({ metadata }) => metadata!.labels!["app.kubernetes.io/name"] === "worker")).toEqual(
        [],
      );
    });

    it("changes nothing the second time", async () => {
      const before = await versions();
      expect(await changesOf(options)).toEqual({ same: declared });
      expect(await versions()).toEqual(before);
    });

    it("with another time to live touches the sweep's settings and what workers are told, and no volume", async () => {
      const changed = having({ retention: { failed: "90s" } });
      // The exporter has the same documents, and reads them without a new pod.
      const update = ["cleanup-config", "contract-config", "monitoring-exporter"];
      expect(await planned(changed)).toEqual({ update });
      const before = await placesOfData();
      expect(await changesOf(changed)).toEqual({ same: declared - 3, update: 3 });
      expect(await placesOfData()).toEqual(before);
      const { data } = await core.readNamespacedConfigMap({
        namespace: WORKERS_NAMESPACE,
        name: "cleanup-config",
      });
      expect(JSON.parse(data!["cleanup.json"]!).retention.failedSeconds).toBe(90);
      await up(options);
    });

    it("with another node, in whatever place of the list, adds and moves nothing", async () => {
      const more = { name: "node-9", id: 9, slots: 2, directory: "/mnt/video-jobs" };
      const changed = having({ nodes: [more, ...nodes()] });
      const plan = await planned(changed);
      expect(Object.keys(plan).sort()).toEqual(["create", "update"]);
      expect(plan["create"]!.filter((name) => !name.includes("node-9"))).toEqual([]);
      expect(plan["create"]).toEqual(
        expect.arrayContaining([
          "cleanup-cleanup-node-9",
          "local-ssd-video-jobs-node-9-slot-0",
          "local-ssd-video-jobs-node-9-slot-1",
          "scratch-node-9-slot-0",
          "scratch-node-9-slot-1",
        ]),
      );
      expect(plan["update"]).toEqual([
        ...["alerts-rules", "cleanup-priority", "contract-config", "monitoring-exporter", "scratch-quota"],
      ]);
      const before = await placesOfData();
      await up(changed);
      expect(await placesOfData()).toMatchObject(before);

      // And gone again, it takes only its own along.
      expect(await changesOf(options)).toEqual({
        same: declared - 5,
        update: 5,
        delete: plan["create"]!.length,
      });
      expect(await placesOfData()).toEqual(before);
    });

    it.each([
      [
        "a slot's size",
        { slotSize: "128Mi" },
        'video-storage:slotSize is "128Mi"; allowed: 64Mi, as it is deployed',
      ],
      [
        "a namespace",
        { namespace: "elsewhere" },
        'video-storage:namespace is "elsewhere"; allowed: video-jobs',
      ],
      [
        "a node's id",
        { nodes: [{ name: "node-0", id: 4, slots: 3, directory: "/mnt/video-jobs" }] },
        'belongs to user 21128"; allowed: an id with which node-0-slot-0 belongs to user 21000, as it is deployed',
      ],
    ])(
      "refuses another value of what can't change, before anything is touched: %s",
      async (_, change, message) => {
        const before = await versions();
        // The other keys of such a change would be updates.
        await expect(up(having({ ...change, retention: { failed: "91s" } }))).rejects.toThrow(message);
        expect(await versions()).toEqual(before);
      },
    );

    it("replaces with new credentials the set-up jobs and no place of data", async () => {
      const changed = having({ credentialRotation: 2 });
      const plan = await planned(changed);
      const replaced = plan["create-replacement"] ?? [];
      expect(
        replaced.filter(
          (name) => !/-password$|^artifacts-(setup|probe|tls-server-seed)$|^catalogue-migrations$/.test(name),
        ),
      ).toEqual([]);
      expect(replaced).toEqual(expect.arrayContaining(["artifacts-setup", "catalogue-migrations"]));
      const before = await placesOfData();
      await up(changed);
      expect(await placesOfData()).toEqual(before);
      const jobs = (await batch.listNamespacedJob({ namespace: SYSTEM_NAMESPACE })).items;
      expect(jobs.map(({ status }) => status!.succeeded)).toEqual(jobs.map(() => 1));
      options = changed;
    });

    it("stops at a migration that fails, with its message, and goes on once nothing is in its way", async () => {
      const adminUrl = new URL(options.secretConfig!.catalogueAdminUrl!);
      const url = new URL(adminUrl);
      url.pathname = "/failing";
      const query = async (at: URL, ...statements: string[]) => {
        const client = new pg.Client({ connectionString: at.href });
        await client.connect();
        for (const statement of statements) await client.query(statement);
        await client.end();
      };
      await query(adminUrl, "CREATE DATABASE failing");
      await query(url, "CREATE SCHEMA storage", "CREATE TABLE storage.jobs (somebodys text)");
      const elsewhere = {
        ...having({ catalogue: { ...(options.config!["catalogue"] as object), database: "failing" } }),
        secretConfig: { ...options.secretConfig, catalogueAdminUrl: url.href },
      };
      const before = await core.readNamespacedConfigMap({
        namespace: WORKERS_NAMESPACE,
        name: "video-storage-contract",
      });
      await expect(up(elsewhere)).rejects.toThrow(/relation "jobs" already exists/);
      const after = await core.readNamespacedConfigMap({
        namespace: WORKERS_NAMESPACE,
        name: "video-storage-contract",
      });
      expect(after.data).toEqual(before.data);
      // The failed Job is as it is declared, and is run anew all the same.
      await query(url, "DROP TABLE storage.jobs");
      // Logins serve one database of a server, and for this moment it is to be the other one.
      const disown = `DO $$ DECLARE login name; BEGIN
        FOR login IN SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') IS NOT NULL LOOP
          EXECUTE format('COMMENT ON ROLE %I IS NULL', login);
        END LOOP; END $$`;
      await query(adminUrl, disown);
      await up(elsewhere);
      await query(adminUrl, disown);
      await up(options);
      expect(await planned(options)).toEqual({});
    });

    it("plans without the cluster, also what is deployed already", async () => {
      const kubeconfig = options.secretConfig!.kubeconfig!.replace(/https:\/\/[^"]+/, "https://127.0.0.1:1");
      expect(kubeconfig).toContain("127.0.0.1:1");
      const unreachable = {
        ...having({ retention: { failed: "90s" } }),
        secretConfig: { ...options.secretConfig, kubeconfig },
      };
      expect(await planned(unreachable)).toEqual({
        update: ["cleanup-config", "cluster", "contract-config", "monitoring-exporter"],
      });
    });

    it("destroys nothing that is protected, and takes the rest up again with it", async () => {
      const guarded = having({ protectData: true });
      await up(guarded);
      const [before, all] = [await placesOfData(), await versions()];
      expect(Object.keys(before)).toHaveLength(8);
      await expect(destroy(guarded)).rejects.toThrow(/scratch-node-0-slot-0.* cannot be deleted.*protected/s);
      expect(await placesOfData()).toEqual(before);
      expect(await versions()).toEqual(all);

      await destroy({ ...guarded, exceptProtected: true });
      expect(await placesOfData()).toEqual(before);
      expect((await batch.listNamespacedCronJob({ namespace: WORKERS_NAMESPACE })).items).toEqual([]);

      await up(guarded);
      expect(await placesOfData()).toEqual(before);
      expect(await changesOf(guarded)).toEqual({ same: declared });
    });

    it("takes no node away whose claims are protected, until they are named", async () => {
      const more = { name: "node-9", id: 9, slots: 1, directory: "/mnt/video-jobs" };
      const grown = having({ protectData: true, nodes: [...nodes(), more] });
      await up(grown);
      const before = await placesOfData();
      const guarded = having({ protectData: true });
      await expect(preview(guarded)).rejects.toThrow(/scratch-node-9-slot-0.* cannot be deleted.*protected/s);
      await expect(up(guarded)).rejects.toThrow(/scratch-node-9-slot-0.* cannot be deleted.*protected/s);
      expect(await placesOfData()).toEqual(before);

      // As docs/operating-on-premises.md says it.
      const { stdout } = await pulumi("stack", "--show-urns");
      const urns = stdout.match(/urn:\S+::(scratch|local-ssd-video-jobs)-node-9-slot-[0-9]+$/gm)!;
      expect(urns).toHaveLength(2);
      await pulumi("state", "unprotect", "--yes", ...urns);
      await up(guarded);
      expect(Object.keys(await placesOfData()).filter((name) => name.includes("node-9"))).toEqual([]);
    });

    it("leaves nothing where nothing is protected", async () => {
      await up(options);
      await destroy(options);
      expect(await placesOfData()).toEqual({});
      const namespaces = (await core.listNamespace()).items.map(({ metadata }) => metadata!.name!);
      expect(namespaces.filter((name) => name.startsWith("video-"))).toEqual([]);
    });

    it("reads with a key that it is given what outlived its stack, and refuses it with any other", async () => {
      await up(options);
      const { data } = await core.readNamespacedSecret({
        namespace: SYSTEM_NAMESPACE,
        name: "object-storage-server",
      });
      const objectStorageKey = Buffer.from(data!["kms-key"]!, "base64").toString().split(":")[1]!;
      await destroy(options);
      const machine = (await findSandbox(environment.stateDirectory))!;
      const at = join(SLOTS_DIRECTORY, "object-storage");
      const record = join(at, ".video-storage-key.json");
      // As a guarded stack would have left it whose state is lost.
      await machine.must("sed", ["-i", 's/"guarded":false/"guarded":true/', record]);
      const format = await machine.must("cat", [join(at, ".minio.sys", "format.json")]);

      const generating = options;
      options = { ...options, secretConfig: { ...options.secretConfig, objectStorageKey } };
      await up(options);
      expect(await machine.must("cat", [join(at, ".minio.sys", "format.json")])).toBe(format);
      const server = { namespace: SYSTEM_NAMESPACE, name: "object-storage-0" };
      expect(await core.readNamespacedPodLog(server)).not.toContain("failed to decrypt");

      const written = await machine.must("cat", [record]);
      await machine.must("sed", ["-i", 's/"key":"[^"]*"/"key":"0000000000"/; s/false/true/', record]);
      await core.deleteNamespacedPod(server);
      const refusal = async () => {
        const pod = await core.readNamespacedPod(server).catch(() => undefined);
        const { state, lastState } = pod?.status?.initContainerStatuses?.[0] ?? {};
        return (state?.terminated ?? lastState?.terminated)?.message ?? "";
      };
      await expect.poll(refusal, { timeout: 60_000, interval: 500 }).toContain("nothing was touched");
      await machine.must("sh", ["-c", `cat > ${record} <<'END'\n${written}END`]);
      await core.deleteNamespacedPod(server);
      const ready = async () => {
        const pod = await core.readNamespacedPod(server).catch(() => undefined);
        return pod?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
      };
      await expect.poll(ready, { timeout: 60_000, interval: 500 }).toBe("True");
      options = generating;
    });

    it("goes on after it was killed in the middle, as often as that happens", async () => {
      const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
      console.log(`kills by SEED=${seed}`);
      await destroy(options);
      let state = seed;
      const random = () => (state = (state * 48_271 + 11) % 2_147_483_647) / 2_147_483_647;
      for (let kill = 0; kill < 4; kill++) await killedUp(4_000 + random() * 16_000);
      await up(options);
      expect(await planned(options)).toEqual({});
      const claims = (await core.listNamespacedPersistentVolumeClaim({ namespace: WORKERS_NAMESPACE })).items;
      expect(claims).toHaveLength(3);
      // Also what the killed ones have made can be changed.
      const changed = having({ retention: { failed: "90s" }, credentialRotation: 3 });
      await up(changed);
      expect(await planned(changed)).toEqual({});
    });

    /** An up that is killed so many milliseconds after its engine began to make resources, if it isn't done by then. */
    async function killedUp(after: number): Promise<void> {
      const program = fileURLToPath(new URL("../support/engine-up.ts", import.meta.url));
      // A group of its own, so that engine, providers and program go together.
      const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), program], {
        detached: true,
        stdio: ["pipe", "pipe", "ignore"],
      });
      const gone = new Promise((resolve) => child.once("close", resolve));
      child.stdin.end(JSON.stringify(options));
      await new Promise<void>((resolve) => {
        child.stdout.on("data", (text: Buffer) => text.includes("creat") && resolve());
        void gone.then(() => resolve());
      });
      await Promise.race([sleep(after), gone]);
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
      await gone;
    }
  },
);
