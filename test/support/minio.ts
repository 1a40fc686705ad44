import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { buildPrograms } from "../../local/build/programs.js";

/** Runs a real S3 server on loopback for the tests of this project. */
export default async function setup(): Promise<() => Promise<void>> {
  const programs = await buildPrograms();
  const directory = await mkdtemp(join(tmpdir(), "video-storage-minio-"));
  const port = await freePort();
  const server = spawn(
    join(programs["minio"]!, "minio"),
    ["server", "--quiet", "--address", `127.0.0.1:${port}`, directory],
    {
      env: { ...process.env, MINIO_ROOT_USER: "minioadmin", MINIO_ROOT_PASSWORD: "minioadmin" },
      stdio: "ignore",
    },
  );
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const endpoint = `http://127.0.0.1:${port}`;
  await answering(`${endpoint}/minio/health/live`);
  process.env["TEST_S3_ENDPOINT"] = endpoint;
  return async () => {
    server.kill("SIGTERM");
    await ended;
    await rm(directory, { recursive: true, force: true });
  };
}

async function answering(url: string): Promise<void> {
  for (let tries = 0; tries < 150; tries++) {
    const ok = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (ok) return;
    await sleep(200);
  }
  throw new Error(`MinIO did not answer at ${url} within 30 s`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
