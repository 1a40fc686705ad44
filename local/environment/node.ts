import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { DebianPrograms } from "../build/debian-packages.js";
import type { Programs } from "../build/programs.js";
import { Failure } from "../failure.js";
import type { Report } from "../progress.js";
import {
  answersInside,
  dnsAddress,
  ensureAnswering,
  ensureRunning,
  openAuthority,
  writeKubeconfig,
} from "./cluster.js";
import type { Cluster } from "./cluster.js";
import { nodeNetworkOf } from "./network.js";
import type { Network } from "./network.js";
import { containerdClient } from "./node-images.js";
import type { ContainerdClient } from "./node-images.js";
import { nodeName } from "./nodes.js";
import type { Sandbox } from "./sandbox.js";

/** The image that holds a pod's namespaces open; built from the distribution's busybox. */
export const PAUSE_IMAGE = "localhost/video-storage/pause:1";

/** What a node is made from. */
export interface NodeParts {
  readonly index: number;
  /** The environment's, where the cluster's authority is. */
  readonly stateDirectory: string;
  /** The node as a machine; its state directory is the node's own. */
  readonly sandbox: Sandbox;
  readonly network: Network;
  readonly programs: Programs;
  readonly debian: DebianPrograms;
}

/** A node of the cluster. */
export interface Node {
  readonly name: string;
  readonly sandbox: Sandbox;
  readonly ctr: ContainerdClient;
}

/** Brings up a node's containerd, kubelet and kube-proxy, each unless it already answers, and waits for them. */
export async function ensureNode(parts: NodeParts, report: Report): Promise<Node> {
  const { index, stateDirectory, sandbox, network, programs, debian } = parts;
  const own = sandbox.stateDirectory;
  const name = nodeName(index);
  const kubernetes = join(programs["kubernetes"]!, "kubernetes");
  const tools = { PATH: `${debian.path}:${process.env["PATH"]}`, LD_LIBRARY_PATH: debian.libraries };

  report(`${name}: containerd`);
  const ctr = containerdClient(sandbox, programs);
  await writeFile(join(own, "containerd.toml"), await containerdConfiguration(parts));
  await writeNetworkConfiguration(parts);
  await ensureAnswering(
    sandbox,
    "containerd",
    () =>
      ctr(["version"]).then(
        () => true,
        () => false,
      ),
    () =>
      sandbox.launch(
        "containerd",
        join(programs["runtime"]!, "containerd"),
        ["--config", join(own, "containerd.toml")],
        { ...tools, PATH: `${programs["runtime"]}:${tools.PATH}` },
      ),
  );

  report(`${name}: the kubelet`);
  const kubeconfig = await writeKubeconfig(stateDirectory, network, {
    file: `kubelet-${name}`,
    name: `system:node:${name}`,
    groups: ["system:nodes"],
  });
  const configuration = kubeletConfiguration(parts, (await openAuthority(stateDirectory)).certificateFile);
  await writeFile(join(own, "kubelet.json"), `${JSON.stringify(configuration, null, 2)}\n`);
  await ensureAnswering(sandbox, "kubelet", answersInside(sandbox, "http://127.0.0.1:10248/healthz"), () =>
    sandbox.launch(
      "kubelet",
      kubernetes,
      [
        "kubelet",
        `--config=${join(own, "kubelet.json")}`,
        `--kubeconfig=${kubeconfig}`,
        `--hostname-override=${name}`,
        `--node-ip=${nodeNetworkOf(network, index).address}`,
      ],
      tools,
    ),
  );
  const proxy = await writeKubeconfig(stateDirectory, network, {
    file: "kube-proxy",
    name: "system:kube-proxy",
    groups: [],
  });
  await writeIfOther(
    join(own, "kube-proxy.json"),
    `${JSON.stringify(proxyConfiguration(proxy, network), null, 2)}\n`,
  );
  await ensureRunning(sandbox, "kube-proxy", () =>
    sandbox.launch(
      "kube-proxy",
      kubernetes,
      ["kube-proxy", `--config=${join(own, "kube-proxy.json")}`, `--hostname-override=${name}`],
      tools,
    ),
  );
  return { name, sandbox, ctr };
}

/** kube-proxy watches its file, and ends when that is written, though it be with the same. */
async function writeIfOther(file: string, content: string): Promise<void> {
  if ((await readFile(file, "utf8").catch(() => undefined)) !== content) await writeFile(file, content);
}

/** Waits until a node takes pods. */
export async function waitForNode(cluster: Cluster, name: string): Promise<void> {
  for (let tries = 0; tries < 240; tries++) {
    const condition = await cluster
      .kubectl(["get", "node", name, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"])
      .catch(() => "");
    if (condition === "True") return;
    await sleep(500);
  }
  throw new Failure(
    `${name} did not become ready in two minutes.`,
    "Look at its logs/kubelet.log and logs/containerd.log.",
  );
}

async function containerdConfiguration({ sandbox, debian, programs }: NodeParts): Promise<string> {
  const runc = await debian.find("runc");
  const state = sandbox.stateDirectory;
  const filesystem = (
    await sandbox.must("stat", ["--file-system", "--format=%T", "/var/lib/containerd"])
  ).trim();
  // An overlay cannot lie on an overlay, which is what a checkout inside a container is on.
  const snapshotter = filesystem.startsWith("overlay") ? "native" : "overlayfs";
  return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "${snapshotter}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "${PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
# Without CAP_SYS_RESOURCE no score can be lowered, and a pod whose score can't be set doesn't start.
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "${runc}"
SystemdCgroup = false

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["${programs["runtime"]}"]
conf_dir = "${join(state, "cni")}"
`;
}

/**
 * Each pod hangs on a link of its own rather than on a bridge: behind a bridge, the answer of a pod that
 * was reached by a Service goes past the translation of its address unless br_netfilter is loaded.
 */
async function writeNetworkConfiguration({ sandbox, network, index }: NodeParts): Promise<void> {
  const directory = join(sandbox.stateDirectory, "cni");
  await mkdir(directory, { recursive: true });
  const ipam = {
    type: "host-local",
    ranges: [[{ subnet: nodeNetworkOf(network, index).podRange }]],
    routes: [{ dst: "0.0.0.0/0" }],
    dataDir: "/run/cni",
  };
  const configuration = { cniVersion: "1.0.0", name: "pods", plugins: [{ type: "ptp", ipam }] };
  await writeFile(join(directory, "10-pods.conflist"), `${JSON.stringify(configuration, null, 2)}\n`);
}

function kubeletConfiguration({ network }: NodeParts, authority: string): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: authority },
    },
    authorization: { mode: "Webhook" },
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    volumePluginDir: "/var/lib/kubelet/volume-plugins",
    clusterDNS: [dnsAddress(network)],
    clusterDomain: "cluster.local",
    resolvConf: "",
    // Works on both generations of control groups, and without the right to raise limits.
    failCgroupV1: false,
    cgroupDriver: "cgroupfs",
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    seccompDefault: true,
    // The disk is the user's, however full it is, and an image that is collected can't be pulled again.
    evictionHard: {
      "memory.available": "50Mi",
      "nodefs.available": "1%",
      "nodefs.inodesFree": "1%",
      "imagefs.available": "1%",
    },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
  };
}

function proxyConfiguration(kubeconfig: string, network: Network): object {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "nftables",
    clusterCIDR: network.podsRange,
    clientConnection: { kubeconfig },
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
}
