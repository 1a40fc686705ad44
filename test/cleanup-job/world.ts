import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import type { Plugin } from "esbuild";
import { newJobId, parseTenantId } from "@video-storage/contract/identity";
import type { JobId } from "@video-storage/contract/identity";
import { serializeJobRecord } from "@video-storage/contract/job-record";
import { recordKey, recordProof } from "@video-storage/contract/record-proof";
import { workerLogin } from "@video-storage/catalogue/logins";
import type { JobState } from "@video-storage/contract/states";
import { bundleCleanupJob } from "../../cleanup-job/build.mjs";
import { bundledProgram } from "../support/bundles.js";
import type { BundledProgram } from "../support/bundles.js";
import { memoryDirectory } from "../support/memory-directory.js";
import { giveTo } from "../support/ownership.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { startObjectServer } from "./object-server.js";
import type { ObjectServer } from "./object-server.js";
import { startPodServer } from "./pod-server.js";
import type { PodServer } from "./pod-server.js";

export const RETENTION = {
  uploadedSeconds: 100,
  completedSeconds: 200,
  failedSeconds: 300,
  abandonedSeconds: 400,
  trashSeconds: 500,
  stagedSeconds: 600,
  orphanedSeconds: 700,
  completedAction: "tier",
};
export const HEARTBEAT_TIMEOUT = 50;
const NAMESPACE = "workers";
/** The sweep runs as the volume's own user, without any capability, wherever the test may change users. */
const UID = process.getuid!() === 0 ? 10_000 : process.getuid!();

/** Everything real but Kubernetes and S3, which answer on loopback. */
export interface World {
  readonly postgres: TestPostgres;
  readonly objects: ObjectServer;
  readonly pods: PodServer;
  /** A volume with a catalogue of its own. */
  newVolume(): Promise<Volume>;
  stop(): Promise<void>;
}

export interface JobSpecification {
  readonly state: JobState;
  /** What its record says. Default: the state, or what its worker last wrote before the others changed it. */
  readonly recordState?: JobState;
  readonly recordRevision?: number;
  readonly age?: number;
  readonly heartbeatAge?: number;
  readonly tenant?: string;
  readonly pod?: string;
  /** Names and contents. Default: one source of 4,096 bytes and a log. */
  readonly files?: Readonly<Record<string, string>>;
  /** Without a row, or without a directory. */
  readonly only?: "directory" | "row";
}

export interface Run {
  readonly code: number | null;
  readonly events: Record<string, unknown>[];
  readonly errors: Record<string, unknown>[];
}

export interface Volume {
  readonly name: string;
  readonly root: string;
  readonly catalogue: TestCatalogue;
  addJob(specification: JobSpecification): Promise<JobId>;
  configure(changes: Record<string, unknown>): void;
  /** For the processes started from now on, besides what they need. */
  environment: Readonly<Record<string, string>>;
  /** Runs the shipped bundle in a process of its own. */
  run(...args: string[]): Promise<Run>;
  start(...args: string[]): { child: ChildProcess; finished: Promise<Run> };
  /** The audit, oldest first, without what differs from run to run. */
  audit(): Promise<Record<string, unknown>[]>;
  jobs(): string[];
  trash(): string[];
}

/** With plugins, what runs is not what is shipped. Its volumes and its database lie in `directory`. */
export async function startWorld({
  plugins = [],
  directory = memoryDirectory(),
}: { plugins?: Plugin[]; directory?: string } = {}): Promise<World> {
  const base = fs.mkdtempSync(`${directory}/cleanup-world-`);
  fs.chmodSync(base, 0o755);
  const program = plugins.length > 0 ? await bundledWith(plugins, base) : await bundledProgram("cleanup-job");
  const [postgres, objects, pods] = await Promise.all([
    startPostgres({}, directory),
    startObjectServer(),
    startPodServer(),
  ]);
  let volumes = 0;
  return {
    postgres,
    objects,
    pods,
    newVolume: async () => newVolume(`${base}/${++volumes}`, program, { postgres, objects, pods }),
    async stop() {
      await Promise.all([postgres.stop(), objects.stop(), pods.stop()]);
      fs.rmSync(base, { recursive: true });
    },
  };
}

async function bundledWith(plugins: Plugin[], base: string): Promise<BundledProgram> {
  await bundleCleanupJob(`${base}/app`, plugins);
  const compiled = `${base}/compiled`;
  fs.mkdirSync(compiled);
  fs.chownSync(compiled, UID, UID);
  return { file: `${base}/app/cleanup-job.mjs`, compiled };
}

async function newVolume(
  base: string,
  program: BundledProgram,
  { postgres, objects, pods }: Pick<World, "postgres" | "objects" | "pods">,
): Promise<Volume> {
  const name = "node-0-slot-0";
  const root = `${base}/volume`;
  const catalogue = await postgres.createCatalogue(["acme", "globex"]);
  const settings = catalogue.settings("cleanup");
  fs.mkdirSync(`${base}/catalogue`, { recursive: true });
  fs.mkdirSync(`${base}/object-storage`);
  fs.mkdirSync(root, { mode: 0o2750 });
  fs.chownSync(root, UID, UID);
  fs.writeFileSync(`${base}/catalogue/username`, `${settings.user}\n`);
  fs.writeFileSync(`${base}/catalogue/password`, `${settings.password as string}\n`);
  fs.writeFileSync(`${base}/object-storage/accessKeyId`, "test");
  fs.writeFileSync(`${base}/object-storage/secretAccessKey`, "test-only");
  fs.writeFileSync(`${base}/kubeconfig`, JSON.stringify(pods.kubeconfig()));
  const configuration = {
    version: 1,
    retention: RETENTION,
    heartbeatTimeoutSeconds: HEARTBEAT_TIMEOUT,
    namespace: NAMESPACE,
    catalogue: { host: settings.host, port: settings.port, database: settings.database, tls: false },
    objectStorage: {
      endpoint: objects.endpoint,
      region: "local",
      bucket: "videos",
      forcePathStyle: true,
      credentials: "secret",
      caFile: null,
    },
    pressure: {
      // Never under pressure: the tests' volume is a directory of a disk that may be as full as it likes.
      bytes: { highWaterPercent: 100, lowWaterPercent: 99 },
      inodes: { highWaterPercent: 100, lowWaterPercent: 99 },
    },
    // Every file an object of its own, unless a test is about packs.
    tiering: { packBelowBytes: 0 },
    janitor: { periodSeconds: 0 },
    checkPods: true,
  };
  const configure = (changes: Record<string, unknown>): void =>
    fs.writeFileSync(`${base}/cleanup.json`, JSON.stringify({ ...configuration, ...changes }));
  configure({});

  const start: Volume["start"] = (command, ...args) => {
    const ofVolume = ["--volume", name];
    const onVolume = [
      ...["--root", root, "--kubeconfig", `${base}/kubeconfig`],
      ...["--object-storage-credentials", `${base}/object-storage`],
    ];
    const line = [process.execPath, program.file, command!, ...args];
    if (command === "sweep" || command === "explain") line.push(...ofVolume, ...onVolume);
    if (command === "janitor") line.push("--object-storage-credentials", `${base}/object-storage`);
    line.push("--config", `${base}/cleanup.json`, "--catalogue-credentials", `${base}/catalogue`, "--json");
    if (process.getuid!() === 0) {
      line.unshift(
        "setpriv",
        "--reuid",
        `${UID}`,
        "--regid",
        `${UID}`,
        "--clear-groups",
        "--bounding-set=-all",
        "--",
      );
    }
    const child = spawn(line[0]!, line.slice(1), {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...{ PATH: process.env["PATH"], POD_NAME: "sweep-pod", NODE_COMPILE_CACHE: program.compiled },
        ...made.environment,
      },
    });
    return { child, finished: outcomeOf(child) };
  };

  const made: Volume = {
    name,
    root,
    catalogue,
    environment: {},
    configure,
    start,
    run: (...args) => start(...args).finished,
    addJob: (specification) => addJob(root, name, catalogue, specification),
    audit: () =>
      catalogue.admin(
        `SELECT job_id AS job, tenant_id AS tenant, phase, action, reason, bytes::int, files::int, actor,
           details->>'code' AS code, (details->>'resumed')::boolean AS resumed
         FROM storage.audit ORDER BY sequence`,
      ),
    jobs: () =>
      fs
        .readdirSync(root)
        .filter((entry) => entry !== ".trash")
        .sort(),
    trash: () => fs.readdirSync(`${root}/.trash`),
  };
  return made;
}

async function outcomeOf(child: ChildProcess): Promise<Run> {
  const collect = async (stream: NodeJS.ReadableStream): Promise<Record<string, unknown>[]> => {
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    const lines = text.split("\n").filter((line) => line !== "");
    return lines.map((line) => {
      try {
        return JSON.parse(line) as Record<string, unknown>;
      } catch {
        return { unparsed: line };
      }
    });
  };
  const [events, errors, code] = await Promise.all([
    collect(child.stdout!),
    collect(child.stderr!),
    new Promise<number | null>((resolve) => child.once("exit", resolve)),
  ]);
  return { code, events, errors };
}

const LAST_WRITTEN_BY_WORKER: Record<JobState, JobState> = {
  active: "active",
  abandoned: "active",
  completed: "completed",
  uploaded: "completed",
  failed: "failed",
  "handed-over": "handed-over",
  quarantined: "quarantined",
};

async function addJob(
  root: string,
  volume: string,
  catalogue: TestCatalogue,
  specification: JobSpecification,
): Promise<JobId> {
  const { state, age = 0, heartbeatAge = 0, only } = specification;
  const jobId = newJobId();
  const tenantId = parseTenantId(specification.tenant ?? "acme");
  const recordState = specification.recordState ?? LAST_WRITTEN_BY_WORKER[state];
  const revision = recordState === "active" ? 1 : 2;
  const pod = specification.pod ?? `pod-${jobId}`;
  const owner = { volume, node: "node-0", namespace: NAMESPACE, pod };
  const files = specification.files ?? { "source.mp4": "v".repeat(4096), "logs/extraction.log": "done\n" };
  if (only !== "row") {
    const directory = `${root}/${jobId}`;
    fs.mkdirSync(`${directory}/logs`, { recursive: true });
    for (const [file, content] of Object.entries(files)) fs.writeFileSync(`${directory}/${file}`, content);
    const described = Object.entries(files).filter(([file]) => !file.includes("/"));
    fs.writeFileSync(
      `${directory}/metadata.json`,
      serializeJobRecord({
        ...{ version: 1, tenantId, jobId, state: recordState, owner, attributes: {} },
        revision: specification.recordRevision ?? revision,
        proof: recordProof(recordKey(`${workerLogin(tenantId)}-password`), { tenantId, jobId, owner }),
        createdAt: "2026-01-01T00:00:00.000Z",
        stateChangedAt: "2026-01-01T00:00:00.000Z",
        files: Object.fromEntries(
          described.map(([file, content]) => [
            file,
            { bytes: Buffer.byteLength(content), sha256: createHash("sha256").update(content).digest("hex") },
          ]),
        ),
      }),
    );
    giveTo({ uid: UID, gid: UID }, directory);
  }
  if (only !== "directory") {
    await catalogue.admin(
      `INSERT INTO storage.jobs (tenant_id, job_id, state, revision, volume, node, namespace, pod,
         state_changed_at, heartbeat_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() - make_interval(secs => $9), now() - make_interval(secs => $10))`,
      [
        tenantId,
        jobId,
        state,
        state === "active" ? 1 : revision,
        volume,
        owner.node,
        owner.namespace,
        pod,
        age,
        heartbeatAge,
      ],
    );
  }
  return jobId;
}
