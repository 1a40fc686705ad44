import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ScanSettings } from "@video-storage/contract/schemas";
import { unpackDebianPackages } from "../../local/build/debian-packages.js";

const HOST = "127.0.0.1";
const NOBODY = 65534;

/** The test file that every scanner knows (https://www.eicar.org), in two halves so that this file isn't taken for it. */
export const EICAR = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].join("");
/** A pattern of the tests' own, which the database has too. */
export const OWN_PATTERN = ["video-storage", "infected", "7d3f0c1b"].join("::");

/** Debian's clamd, as an unprivileged user, with a signature database of two entries. */
export interface Clamd {
  readonly settings: ScanSettings;
  readonly pid: number;
  /** Makes it stop answering, without ending it. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export async function startClamd(limits: Partial<ScanSettings> = {}): Promise<Clamd> {
  const debian = await unpackDebianPackages(["clamav-daemon"]);
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "video-storage-clamd-"));
  const database = path.join(directory, "database");
  await fs.mkdir(database);
  const hexadecimal = (text: string) => Buffer.from(text, "latin1").toString("hex");
  await fs.writeFile(
    path.join(database, "tests.ndb"),
    `Test.Eicar:0:*:${hexadecimal(EICAR)}\nTest.Own:0:*:${hexadecimal(OWN_PATTERN)}\n`,
  );
  const port = await freePort();
  const configuration = path.join(directory, "clamd.conf");
  await fs.writeFile(
    configuration,
    [
      ...["Foreground yes", `TCPSocket ${port}`, `TCPAddr ${HOST}`, `DatabaseDirectory ${database}`],
      ...[`TemporaryDirectory ${directory}`, "StreamMaxLength 64M", "MaxFileSize 64M", "MaxScanSize 64M"],
      ...["AlertExceedsMax yes", "MaxThreads 4", "SelfCheck 0"],
    ].join("\n") + "\n",
  );
  // The cache is in the home of whoever runs the tests, where another user can't go.
  const program = path.join(directory, "clamd");
  await fs.copyFile(await debian.find("clamd"), program);
  const libraries = path.join(directory, "lib");
  await fs.mkdir(libraries);
  for (const from of debian.libraries.split(path.delimiter)) {
    await fs.cp(from, libraries, { recursive: true, dereference: true });
  }
  const root = process.getuid?.() === 0;
  if (root) await fs.chown(directory, NOBODY, NOBODY);
  await fs.chmod(directory, 0o755);
  const server: ChildProcess = spawn(program, ["--config-file", configuration], {
    env: { LD_LIBRARY_PATH: libraries },
    stdio: ["ignore", "pipe", "pipe"],
    ...(root && { uid: NOBODY, gid: NOBODY }),
  });
  let output = "";
  for (const stream of [server.stdout, server.stderr])
    stream!.on("data", (data: Buffer) => (output += data.toString()));
  server.once("error", (error) => (output += error.message));
  const ended = once(server, "exit");
  const deadline = Date.now() + 60_000;
  while (!(await answers(port))) {
    if (server.exitCode !== null || Date.now() > deadline) throw new Error(`clamd didn't start:\n${output}`);
    await sleep(100);
  }
  return {
    settings: {
      ...{ host: HOST, port, maxBytes: 48 * 2 ** 20, timeoutSeconds: 20, whenUndecided: "refuse" },
      ...limits,
    },
    pid: server.pid!,
    pause: () => void server.kill("SIGSTOP"),
    resume: () => void server.kill("SIGCONT"),
    async stop() {
      server.kill("SIGKILL");
      await ended;
      await fs.rm(directory, { recursive: true, force: true });
    },
  };
}

async function answers(port: number): Promise<boolean> {
  const socket = net.connect(port, HOST);
  try {
    await once(socket, "connect");
    socket.write("zPING\0");
    const [data] = (await once(socket, "data")) as [Buffer];
    return data.toString().startsWith("PONG");
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
