import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { DebianPrograms } from "../build/debian-packages.js";
import { ensureAnswering } from "./cluster.js";
import type { Network } from "./network.js";
import type { Sandbox } from "./sandbox.js";
import { stackScrapes } from "./scrape-configs.js";

/** Where Prometheus answers, seen from this machine. */
export function prometheusUrl(network: Network): string {
  return `http://${network.nodeAddress}:9090`;
}

/**
 * Starts node-exporter on the node and a Prometheus that scrapes it, finds by the cluster's names what the stack has for
 * it, and loads the stack's alert rules.
 */
export async function ensurePrometheus(
  sandbox: Sandbox,
  network: Network,
  debian: DebianPrograms,
  nameServer: string,
): Promise<void> {
  const directory = join(sandbox.stateDirectory, "prometheus");
  await mkdir(join(directory, "rules"), { recursive: true });
  const configuration = {
    global: { scrape_interval: "5s", evaluation_interval: "5s" },
    rule_files: [join(directory, "rules", "*.yaml")],
    scrape_configs: [
      { job_name: "node-exporter", static_configs: [{ targets: [`${network.nodeAddress}:9100`] }] },
      ...stackScrapes(),
    ],
  };
  await writeFile(join(directory, "prometheus.yaml"), `${JSON.stringify(configuration, null, 2)}\n`);
  // A Service's address is no interface's: kube-proxy leads a packet to a pod once it has some route at all.
  await sandbox.must("ip", ["route", "replace", network.serviceRange, "via", network.hostAddress]);
  const names = join(directory, "resolv.conf");
  await writeFile(names, `nameserver ${nameServer}\nsearch cluster.local\noptions ndots:5\n`);
  const exporter = await debian.find("prometheus-node-exporter");
  const prometheus = await debian.find("prometheus");
  await ensureAnswering(
    sandbox,
    "prometheus-node-exporter",
    () => answers(`http://${network.nodeAddress}:9100/`),
    () =>
      sandbox.launch("prometheus-node-exporter", exporter, [
        `--web.listen-address=${network.nodeAddress}:9100`,
        // A pod sees its volume at a second place; counted there too, each byte would count twice.
        "--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys|etc|var/lib|tmp)($|/)",
      ]),
  );
  await ensureAnswering(
    sandbox,
    "prometheus",
    () => answers(`${prometheusUrl(network)}/-/ready`),
    () =>
      sandbox.launch("prometheus", "unshare", [
        // The cluster's names are for Prometheus alone: the node's other programs are not to depend on them.
        ...["--mount", "--propagation", "private", "--", "sh", "-c"],
        ...['mount --bind "$0" /etc/resolv.conf && exec "$@"', names, prometheus],
        `--config.file=${join(directory, "prometheus.yaml")}`,
        `--storage.tsdb.path=${join(directory, "data")}`,
        "--storage.tsdb.retention.time=6h",
        `--web.listen-address=${network.nodeAddress}:9090`,
        "--web.enable-lifecycle",
      ]),
  );
}

/** Gives Prometheus the rule file that the stack declared, and waits until it has taken it. */
export async function loadRules(sandbox: Sandbox, network: Network, rules: string): Promise<void> {
  await writeFile(join(sandbox.stateDirectory, "prometheus", "rules", "video-storage.yaml"), rules);
  const response = await fetch(`${prometheusUrl(network)}/-/reload`, { method: "POST" });
  if (!response.ok)
    throw new Error(`Prometheus refused the stack's alert rules: ${(await response.text()).trim()}`);
}

async function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(1_000) }).then(
    (response) => response.ok,
    () => false,
  );
}
