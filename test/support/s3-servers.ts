import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { serverCertificate } from "../../components/lib/server-certificate.js";
import { buildPrograms } from "../../local/build/programs.js";

/** A real S3 server on loopback, with TLS under an authority of its own. */
export interface S3Server {
  readonly endpoint: string;
  readonly caFile: string;
  readonly administrator: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Where files of a test may go. */
  readonly directory: string;
  stop(): Promise<void>;
}

interface Start {
  readonly certificates: { readonly certificate: string; readonly key: string };
  readonly port: number;
  readonly directory: string;
}

const administrator = { accessKeyId: "administrator", secretAccessKey: "administrator-of-the-test" };

/** MinIO as the stack runs it: with a KMS key, TLS, and nothing else. */
export async function startMinio(): Promise<S3Server> {
  const programs = await buildPrograms(["minio"]);
  return startServer("minio", async ({ certificates, port, directory }) => {
    const certsDir = join(directory, "certs");
    await mkdir(certsDir);
    await writeFile(join(certsDir, "public.crt"), certificates.certificate);
    await writeFile(join(certsDir, "private.key"), certificates.key);
    const address = `127.0.0.1:${port}`;
    return {
      program: join(programs["minio"]!, "minio"),
      args: ["server", "--quiet", "--address", address, "--certs-dir", certsDir, join(directory, "data")],
      env: {
        MINIO_ROOT_USER: administrator.accessKeyId,
        MINIO_ROOT_PASSWORD: administrator.secretAccessKey,
        MINIO_KMS_SECRET_KEY: `video-storage:${randomBytes(32).toString("base64")}`,
      },
    };
  });
}

/** The Versity gateway over a directory: another S3 server, by other people, as somebody's endpoint might be. */
export async function startVersityGateway(): Promise<S3Server> {
  const programs = await buildPrograms(["versitygw"]);
  return startServer("versitygw", async ({ certificates, port, directory }) => {
    const file = (name: string): string => join(directory, name);
    await writeFile(file("server.crt"), certificates.certificate);
    await writeFile(file("server.key"), certificates.key);
    for (const name of ["data", "versions", "users"]) await mkdir(file(name));
    return {
      program: join(programs["versitygw"]!, "versitygw"),
      args: [
        ...["--port", `127.0.0.1:${port}`, "--cert", file("server.crt"), "--key", file("server.key")],
        ...["--iam-dir", file("users"), "--quiet", "posix", "--versioning-dir", file("versions")],
        file("data"),
      ],
      env: {
        ROOT_ACCESS_KEY: administrator.accessKeyId,
        ROOT_SECRET_KEY: administrator.secretAccessKey,
      },
    };
  });
}

async function startServer(
  name: string,
  prepare: (
    start: Start,
  ) => Promise<{ program: string; args: readonly string[]; env: Record<string, string> }>,
): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), `video-storage-${name}-`));
  const port = await freePort();
  const certificates = await serverCertificate({
    authoritySeed: randomBytes(32).toString("base64"),
    serverSeed: randomBytes(32).toString("base64"),
    hosts: ["localhost", "127.0.0.1"],
  });
  const caFile = join(directory, "ca.crt");
  await writeFile(caFile, certificates.authority);
  const { program, args, env } = await prepare({ certificates, port, directory });
  const logFile = join(directory, "server.log");
  const server = spawn(program, args, {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [server.stdout, server.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (log += text));
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const stop = async (): Promise<void> => {
    server.kill("SIGTERM");
    await ended;
    await rm(directory, { recursive: true, force: true });
  };
  for (let tries = 0; !(await listens(port)); tries++) {
    if (tries >= 150 || server.exitCode !== null) {
      const kept = log || (await readFile(logFile, "utf8").catch(() => ""));
      await stop();
      throw new Error(`${name} did not listen on port ${port}: ${kept}`);
    }
    await sleep(200);
  }
  return { endpoint: `https://127.0.0.1:${port}`, caFile, administrator, directory, stop };
}

async function listens(port: number): Promise<boolean> {
  const { connect } = await import("node:net");
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
