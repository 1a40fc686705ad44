import { Agent } from "node:https";
import { join } from "node:path";

import { S3Client } from "@aws-sdk/client-s3";
import { BatchV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { parseDuration } from "@video-storage/contract/durations";
import { parseSize } from "@video-storage/contract/sizes";
import { parseStackContract } from "@video-storage/contract/stack-contract";
import type { StackContract } from "@video-storage/contract/stack-contract";

import { apiClient } from "../../local/api-client.js";
import { CONTRACT_CONFIG_MAP } from "../../components/lib/mounts.js";
import { unpackDebianPackages } from "../../local/build/debian-packages.js";
import { buildPrograms } from "../../local/build/programs.js";
import { deploy } from "../../local/deploy.js";
import { SLOTS_DIRECTORY } from "../../local/environment/disks.js";
import type { Slot } from "../../local/environment/disks.js";
import { startEnvironment } from "../../local/environment/environment.js";
import type { Environment } from "../../local/environment/environment.js";
import { keptNetwork } from "../../local/environment/network.js";
import type { Network } from "../../local/environment/network.js";
import { containerdClient, importImages } from "../../local/environment/node-images.js";
import { nodeDirectory, nodeName } from "../../local/environment/nodes.js";
import { findSandbox } from "../../local/environment/sandbox.js";
import type { Sandbox } from "../../local/environment/sandbox.js";
import { cacheDirectory } from "../../local/paths.js";
import { SYSTEM_NAMESPACE, WORKERS_NAMESPACE, localSlots } from "../../local/stack.js";
import type { LocalConfiguration } from "../../local/stack.js";
import type { Times, Volume } from "./checker/evidence.js";
import type { TenantAccess } from "./checker/gathering.js";
import { buildSoakWorker } from "./workload/image.js";

const TENANTS = ["acme", "globex", "initech"];

/** How often the bucket's janitor looks, which is once a day elsewhere. */
const JANITOR_PERIOD = "1m";
const STAGED = "3m";

/** The bucket keeps what was deleted for a day, so that its volume has room for all that a run moves there. */
const OBJECT_STORAGE_SIZE = "8Gi";

/** One slot of the run, by its number. */
export interface SoakSlot {
  readonly number: number;
  readonly name: string;
  readonly node: number;
  readonly tenant: string;
}

/** The environment of a run, and all that the run needs to reach in it. */
export interface SoakEnvironment {
  readonly name: string;
  readonly stateDirectory: string;
  readonly nodes: number;
  readonly slotsOfNodes: readonly (readonly Slot[])[];
  readonly contract: StackContract;
  readonly slots: readonly SoakSlot[];
  readonly core: CoreV1Api;
  readonly batch: BatchV1Api;
  readonly network: Network;
  /** Reference of the workers' image. */
  readonly image: string;
  readonly catalogueUrl: string;
  /** May do everything in the bucket. */
  readonly s3: S3Client;
  readonly bucket: string;
  readonly tenants: readonly TenantAccess[];
  readonly times: Omit<Times, "sweep">;
  /** The running machine that a node is; a new one after it was killed. */
  sandbox(node: number): Promise<Sandbox>;
  /** Where a node keeps its logs. */
  directoryOf(node: number): string;
  /** What the checker reads of the disks; nodes that were killed have their disks elsewhere afterwards. */
  volumes(): Promise<Volume[]>;
  close(): void;
}

/**
 * Brings up the environment of a run: the stack of `npm start`, on several nodes, with three tenants that share no
 * slot, and with the bucket's times as short as the volumes' already are.
 */
export async function startSoakEnvironment(name: string, nodes: number): Promise<SoakEnvironment> {
  const slotsOfNodes = localSlots(nodes).map((slots) => slots.map(enlarged));
  const environment = await startEnvironment(
    name,
    { kind: "built", why: "the system test asks for it" },
    slotsOfNodes,
  );
  await deploy(environment, "auto", (given) => changed(given, nodes));
  const image = await loadImage(environment, nodes);
  const config = new KubeConfig();
  config.loadFromFile(environment.cluster.kubeconfig);
  const core = apiClient(config, CoreV1Api);
  const { data } = await core.readNamespacedConfigMap({
    namespace: WORKERS_NAMESPACE,
    name: CONTRACT_CONFIG_MAP,
  });
  const contract = parseStackContract(JSON.parse(data!["contract.json"]!));
  const state = environment.stateDirectory;
  const clients: S3Client[] = [];
  const connectS3 = await objectStorageOf(core, contract, clients);
  const sandbox = async (node: number): Promise<Sandbox> => (await findSandbox(nodeDirectory(state, node)))!;
  const slots = contract.slots.map((slot, number) => ({
    number,
    name: slot.name,
    node: Number(slot.node!.split("-")[1]),
    tenant: slot.tenant!,
  }));
  return {
    name,
    stateDirectory: state,
    nodes,
    slotsOfNodes,
    contract,
    slots,
    core,
    batch: apiClient(config, BatchV1Api),
    network: await keptNetwork(state),
    image,
    catalogueUrl: environment.database.adminUrl,
    s3: await connectS3(SYSTEM_NAMESPACE, "object-storage-server", "root-user", "root-password"),
    bucket: contract.objectStorage!.bucket,
    tenants: await Promise.all(
      contract.tenants.map(async ({ id, catalogueSecret, objectStorageSecret }): Promise<TenantAccess> => {
        const { username, password } = await secretOf(core, contract.namespace, catalogueSecret);
        const { host, port, database } = contract.catalogue;
        return {
          tenant: id,
          catalogueUrl: `postgres://${username}:${encodeURIComponent(password!)}@${host}:${port}/${database}`,
          s3: await connectS3(contract.namespace, objectStorageSecret!, "accessKeyId", "secretAccessKey"),
        };
      }),
    ),
    times: timesOf(contract),
    sandbox,
    directoryOf: (node) => nodeDirectory(state, node),
    volumes: () =>
      Promise.all(
        slots.map(async ({ number, name: volume, node, tenant }): Promise<Volume> => {
          const { runAsUser } = contract.slots[number]!;
          const root = `${SLOTS_DIRECTORY}/slot-${volume.split("-").at(-1)}`;
          return {
            ...{ name: volume, node: nodeName(node), path: (await sandbox(node)).path(root) },
            ...{ uid: runAsUser, uploadGid: contract.uploadGroup, tenant },
          };
        }),
      ),
    close: () => clients.forEach((client) => client.destroy()),
  };
}

function enlarged(slot: Slot): Slot {
  return slot.name === "object-storage" ? { ...slot, bytes: Number(parseSize(OBJECT_STORAGE_SIZE)) } : slot;
}

/** What a run has otherwise than `npm start`. */
function changed({ config, secretConfig }: LocalConfiguration, nodes: number): LocalConfiguration {
  const names = localSlots(nodes).flatMap((slots, node) =>
    slots.filter(({ name }) => /^slot-/.test(name)).map(({ name }) => `${nodeName(node)}-${name}`),
  );
  return {
    secretConfig,
    config: {
      ...config,
      tenants: TENANTS,
      isolation: {
        slotTenants: Object.fromEntries(names.map((name, index) => [name, TENANTS[index % TENANTS.length]])),
      },
      retention: { staged: STAGED, orphaned: STAGED },
      cleanup: { ...(config["cleanup"] as object), janitorPeriod: JANITOR_PERIOD },
      objectStorage: { ...(config["objectStorage"] as object), volumeSize: OBJECT_STORAGE_SIZE },
    },
  };
}

function timesOf({ retention, heartbeatTimeoutSeconds, cleanup }: StackContract): Omit<Times, "sweep"> {
  if (cleanup.schedule !== "* * * * *")
    throw new Error(`the run expects a sweep in every minute, and the stack has "${cleanup.schedule}"`);
  return {
    uploaded: retention.uploadedSeconds,
    completed: retention.completedSeconds,
    failed: retention.failedSeconds,
    abandoned: retention.abandonedSeconds,
    trash: retention.trashSeconds,
    staged: retention.stagedSeconds,
    orphaned: retention.orphanedSeconds,
    heartbeatTimeout: heartbeatTimeoutSeconds,
    period: 60,
    janitorPeriod: Number(parseDuration(JANITOR_PERIOD)),
  };
}

async function loadImage({ stateDirectory: state }: Environment, nodes: number): Promise<string> {
  const programs = await buildPrograms();
  const debian = await unpackDebianPackages();
  const built = await buildSoakWorker({ directory: join(cacheDirectory(), "images"), programs, debian });
  const machines = await Promise.all(
    Array.from({ length: nodes }, async (_, node) => {
      const sandbox = (await findSandbox(nodeDirectory(state, node)))!;
      return { name: nodeName(node), ctr: containerdClient(sandbox, programs) };
    }),
  );
  await importImages(state, machines, [built]);
  return built.reference;
}

async function secretOf(core: CoreV1Api, namespace: string, name: string): Promise<Record<string, string>> {
  const { data } = await core.readNamespacedSecret({ namespace, name });
  return Object.fromEntries(
    Object.entries(data!).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
  );
}

/** Clients of the S3 server by its Service's address, because this machine doesn't know the cluster's names. */
async function objectStorageOf(core: CoreV1Api, contract: StackContract, clients: S3Client[]) {
  const service = await core.readNamespacedService({ namespace: SYSTEM_NAMESPACE, name: "object-storage" });
  const { "ca.crt": ca } = await secretOf(core, contract.namespace, "object-storage-cleanup");
  return async (namespace: string, secret: string, id: string, key: string): Promise<S3Client> => {
    const values = await secretOf(core, namespace, secret);
    const client = new S3Client({
      endpoint: `https://${service.spec!.clusterIP}:${service.spec!.ports![0]!.port}`,
      requestHandler: {
        httpsAgent: new Agent({ ca: ca!, servername: `object-storage.${SYSTEM_NAMESPACE}.svc` }),
        connectionTimeout: 2_000,
        requestTimeout: 10_000,
      },
      region: contract.objectStorage!.region,
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: values[id]!, secretAccessKey: values[key]! },
    });
    clients.push(client);
    return client;
  };
}
