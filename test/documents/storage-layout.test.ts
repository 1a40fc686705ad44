import fs from "node:fs/promises";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { parseJobId, parseTenantId } from "@video-storage/contract/identity";
import * as layout from "@video-storage/contract/layout";
import { CLEANUP_CONFIG_FILE } from "@video-storage/contract/cleanup-config";
import { NODE_AGENT_CONFIG_FILE } from "@video-storage/contract/node-agent-config";
import {
  CATALOGUE_CA_FILE,
  CATALOGUE_CREDENTIALS_DIRECTORY,
  CONTRACT_FILE,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";
import { LABELS, PARTITION_TYPE } from "@video-storage/node-agent/signature";
import { openStorage } from "@video-storage/worker";
import type { Job, Storage } from "@video-storage/worker";
import { INDEX_MEMBER, packKey } from "@video-storage/worker/pack";

import { openRoot } from "../../cleanup-job/src/deletion/handles.js";
import { openTrash } from "../../cleanup-job/src/deletion/trash.js";
import { KEY_DIRECTORY } from "../../components/lib/node-agent-workloads.js";
import { UPLOAD_GROUP } from "../../components/lib/security-context.js";
import { CLEANUP_CONFIG_MAP, CONTRACT_CONFIG_MAP } from "../../components/lib/mounts.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";
import { workerSurroundings } from "../support/worker-surroundings.js";
import type { WorkerSurroundings } from "../support/worker-surroundings.js";
import { inBackticks, projectFile, tableRows } from "./markdown.js";

const text = projectFile("docs/storage-layout.md");
const between = (name: string): string[][] =>
  tableRows(text.split(`<!-- ${name}:begin -->`)[1]!.split(`<!-- ${name}:end -->`)[0]!);
const unquoted = (cell: string): string => inBackticks(cell)[0]!;

const JOB = "{jobId}";
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** Everything below a volume's root as the document names it, with its mode and group. */
async function found(root: string, job: Job): Promise<Map<string, { mode: string; group: number }>> {
  const names = ["", ...(await fs.readdir(root, { recursive: true }))];
  const entries = names.map(async (name) => {
    const { mode, gid } = await fs.lstat(path.join(root, name));
    const told = name
      .replaceAll(job.identity.jobId, JOB)
      .replaceAll(UUID, "{uuid}")
      .replace("other.bin.", "{name}.")
      .replace("logs/run.log", "logs/{name}");
    const place = told === "" ? layout.JOBS_ROOT : `${layout.JOBS_ROOT}/${told}`;
    return [place, { mode: (mode & 0o7777).toString(8), group: gid }] as const;
  });
  return new Map(await Promise.all(entries));
}

describe("docs/storage-layout.md, on a volume", () => {
  let postgres: TestPostgres;
  let catalogue: TestCatalogue;
  let surroundings: WorkerSurroundings;
  let storage: Storage;
  let seen: Map<string, { mode: string; group: number }>;
  const isRoot = process.getuid!() === 0;

  beforeAll(async () => {
    postgres = await startPostgres();
    catalogue = await postgres.createCatalogue(["acme"]);
    surroundings = await workerSurroundings(catalogue);
    if (isRoot) await fs.chown(surroundings.root, 0, UPLOAD_GROUP);
    await fs.chmod(surroundings.root, 0o2750);
    storage = await openStorage(await surroundings.options());
    const job = await storage.createJob();
    await job.writeFile("source.mp4", "a video");
    await job.appendLog("run.log", "a line");
    let looked: Promise<void> | undefined;
    // Looked at while a file is under way, which then fails.
    await job
      .writeStream(
        "other.bin",
        (async function* () {
          yield "the beginning";
          looked = found(surroundings.root, job).then((first) => void (seen = first));
          await looked;
          throw new Error("looked at");
        })(),
      )
      .catch(() => undefined);
    const root = await openRoot(surroundings.root);
    await openTrash(root);
    const after = await found(surroundings.root, job);
    seen = new Map([...seen, ...after]);
  });
  afterAll(async () => {
    await storage?.close();
    await surroundings?.remove();
    await catalogue?.close();
    await postgres?.stop();
  });

  it("says of everything that a job and a sweep leave what its mode is, and names all of it", () => {
    const told = new Map(between("volume").map(([place, mode]) => [unquoted(place!), mode!]));
    // Made and gone within one call, or only by a worker that is drained.
    const rare = [
      `${layout.JOBS_ROOT}/.new-{uuid}`,
      `${layout.JOBS_ROOT}/${JOB}/{name}${layout.PART_SUFFIX}`,
    ];
    expect([...told.keys()].filter((place) => !rare.includes(place)).sort()).toEqual([...seen.keys()].sort());
    const wrong = [...seen].filter(([place, { mode }]) => told.get(place) !== mode);
    expect(wrong).toEqual([]);
  });

  it.runIf(isRoot)("says that all of it is of the upload group", () => {
    expect([...new Set([...seen.values()].map(({ group }) => group))]).toEqual([UPLOAD_GROUP]);
    expect([...new Set(between("volume").map(([, , owner]) => owner))]).toEqual([`SLOT:${UPLOAD_GROUP}`]);
  });
});

describe("docs/storage-layout.md", () => {
  const identity = {
    tenantId: parseTenantId("acme"),
    jobId: parseJobId("01890000-0000-7000-8000-000000000000"),
  };
  const prefix = layout.jobPrefix(identity.tenantId, identity.jobId);

  it("has the keys of objects as the code makes them", () => {
    const pack = packKey(identity, Buffer.alloc(0)).replace(/-[0-9a-f]{32}\./, "-{hash}.");
    const keys = [
      `${prefix}${layout.SOURCE_FILE}`,
      `${prefix}${layout.LOGS_DIRECTORY}/{name}`,
      `${prefix}${layout.METADATA_FILE}`,
      `${prefix}{name}${layout.PART_SUFFIX}`,
      pack,
    ].map((key) => key.replace(identity.tenantId, "{tenantId}").replace(identity.jobId, JOB));
    const told = between("keys").map(([key]) => unquoted(key!));
    expect(told.filter((key) => key.startsWith("tenants/"))).toEqual(keys);
    expect(inBackticks(text)).toContain(INDEX_MEMBER);
  });

  it("has the paths in pods as the code has them", () => {
    const paths = [
      ...[CONTRACT_FILE, CLEANUP_CONFIG_FILE, CATALOGUE_CA_FILE, NODE_AGENT_CONFIG_FILE],
      ...[CATALOGUE_CREDENTIALS_DIRECTORY, OBJECT_STORAGE_CREDENTIALS_DIRECTORY, KEY_DIRECTORY],
    ];
    expect(between("pod").map(([place]) => unquoted(place!))).toEqual(paths);
  });

  it("has the signatures of slots, the ConfigMaps and the volume's own names", () => {
    const named = inBackticks(text).flatMap((part) => part.split("/"));
    const expected = [
      PARTITION_TYPE,
      ...Object.values(LABELS),
      CONTRACT_CONFIG_MAP,
      CLEANUP_CONFIG_MAP,
      layout.TRASH_DIRECTORY,
      layout.ADMISSION_DIRECTORY,
      layout.PREPARED_DIRECTORY,
      layout.TEMPORARY_SUFFIX,
    ];
    expect(expected.filter((name) => !named.includes(name))).toEqual([]);
  });
});
