import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { OpenStorageOptions } from "@video-storage/worker/settings";
import type { StackContract } from "@video-storage/contract/stack-contract";
import { stackContract } from "./documents.js";
import type { TestCatalogue } from "./postgres.js";

/** A volume's root and mounted Secrets as a worker's pod has them, in a temporary directory. */
export interface WorkerSurroundings {
  readonly root: string;
  readonly contract: StackContract;
  /** What `openStorage` needs, as this login; the default is that of the tenant's workers. */
  options(tenantId?: string, login?: string): Promise<OpenStorageOptions>;
  remove(): Promise<void>;
}

export async function workerSurroundings(
  catalogue: TestCatalogue,
  change: Partial<StackContract> = {},
): Promise<WorkerSurroundings> {
  const base = await fs.mkdtemp(path.join(os.tmpdir(), "video-storage-worker-"));
  const root = path.join(base, "volume");
  await fs.mkdir(root, { mode: 0o750 });
  const { host, port, database, tls } = catalogue.settings("worker_acme");
  const contract = stackContract({
    catalogue: { host, port, database, tls },
    heartbeatSeconds: 3600,
    ...change,
  });
  return {
    root,
    contract,
    async options(tenantId = "acme", login = `worker_${tenantId}`) {
      const catalogueCredentials = path.join(base, login);
      await fs.mkdir(catalogueCredentials, { recursive: true });
      await fs.writeFile(path.join(catalogueCredentials, "username"), login);
      await fs.writeFile(path.join(catalogueCredentials, "password"), `${login}-password\n`);
      return {
        ...{
          contract,
          tenantId,
          root,
          catalogueCredentials,
          objectStorageCredentials: path.join(base, "objects"),
        },
        ...{ volume: "node-0-slot-0", node: "node-0", namespace: "video", pod: "worker-0", environment: {} },
      };
    },
    remove: () => fs.rm(base, { recursive: true, force: true }),
  };
}

/** Whether some process holds the directory's lock. */
export async function isLeased(directory: string): Promise<boolean> {
  const { tryLockExclusive } = await import("@video-storage/worker/directory-lock");
  const handle = await fs.open(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    return !tryLockExclusive(handle.fd);
  } finally {
    await handle.close();
  }
}
