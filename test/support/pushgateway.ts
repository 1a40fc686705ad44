import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { PUSHGATEWAY_FLAGS } from "../../components/lib/monitoring-workloads.js";
import { unpackDebianPackages } from "../../local/build/debian-packages.js";
import { scraped } from "./scraped.js";
import type { Series } from "./scraped.js";
import { freePort } from "./free-port.js";

/** Debian's Pushgateway as the stack runs it, on a free loopback port, with nothing in it. */
export interface Pushgateway {
  readonly url: string;
  readonly pid: number;
  /** Everything of ours that was pushed, without what it says of itself. */
  series(): Promise<Series[]>;
  /** As Prometheus would scrape it. */
  text(): Promise<string>;
  /** Forgets every group, as after a restart. */
  stop(): Promise<void>;
}

export async function startPushgateway(port?: number): Promise<Pushgateway> {
  const program = await (await unpackDebianPackages()).find("prometheus-pushgateway");
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const url = `http://${address}`;
  const args = [`--web.listen-address=${address}`, "--persistence.file=", ...PUSHGATEWAY_FLAGS];
  const server = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  server.stderr.on("data", (data: Buffer) => (output += data.toString()));
  const ended = once(server, "exit");
  const deadline = Date.now() + 30_000;
  while (
    !(await fetch(`${url}/-/ready`).then(
      (r) => r.ok,
      () => false,
    ))
  ) {
    if (server.exitCode !== null || Date.now() > deadline)
      throw new Error(`Pushgateway didn't start:\n${output}`);
    await sleep(50);
  }
  const text = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
  return {
    url,
    pid: server.pid!,
    text,
    series: async () => scraped(await text()).filter(({ name }) => name.startsWith("video_storage_")),
    async stop() {
      server.kill();
      await ended;
    },
  };
}
