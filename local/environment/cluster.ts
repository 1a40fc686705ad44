import { mkdir, readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { DebianPrograms } from "../build/debian-packages.js";
import type { Programs } from "../build/programs.js";
import { Failure } from "../failure.js";
import type { Report } from "../progress.js";
import { CertificateAuthority } from "./certificates.js";
import type { Network } from "./network.js";
import { controlGroup, processesOf } from "./sandbox.js";
import type { Launched, Sandbox } from "./sandbox.js";

/** The one node's name, as Kubernetes knows it. */
export const NODE_NAME = "node-0";

/** Name of the context in its kubeconfig files. */
export const CONTEXT = "video-storage";

/** The image that holds a pod's namespaces open; built from the distribution's busybox. */
export const PAUSE_IMAGE = "localhost/video-storage/pause:1";

/** Asks a server that listens inside the sandbox only; run by Node.js there. */
const FETCH =
  "fetch(process.argv[1], { signal: AbortSignal.timeout(2000) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))";

/** What the parts of the environment are made from. */
export interface Parts {
  readonly sandbox: Sandbox;
  readonly network: Network;
  readonly programs: Programs;
  readonly debian: DebianPrograms;
}

/** A running cluster and how to reach it. */
export interface Cluster {
  readonly kubeconfig: string;
  /** Runs kubectl against it. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Runs containerd's own client on its images. */
  ctr(args: readonly string[]): Promise<string>;
}

/** An address in a CIDR range, counted from its first. */
export function addressIn(range: string, offset: number): string {
  const bytes = range.split("/")[0]!.split(".").map(Number);
  return [...bytes.slice(0, 3), bytes[3]! + offset].join(".");
}

/** Where the cluster's name service answers. */
export function dnsAddress(network: Network): string {
  return addressIn(network.serviceRange, 10);
}

/**
 * Brings up etcd, the control plane, containerd, the kubelet and kube-proxy, each unless it already
 * answers, and waits for them.
 */
export async function ensureCluster(parts: Parts, report: Report): Promise<Cluster> {
  const { sandbox, network, programs, debian } = parts;
  const state = sandbox.stateDirectory;
  const authority = await CertificateAuthority.open(join(state, "certificates"));
  const { nodeAddress } = network;
  const server = `https://${nodeAddress}:6443`;
  const kubernetes = join(programs["kubernetes"]!, "kubernetes");

  const kubeconfig = async (file: string, name: string, groups: string[] = []): Promise<string> => {
    const pair = await authority.issue(file, { name, groups });
    const path = join(state, `${file}.kubeconfig`);
    const encode = (text: string): string => Buffer.from(text).toString("base64");
    const content = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": CONTEXT,
      contexts: [{ name: CONTEXT, context: { cluster: "video-storage", user: name } }],
      clusters: [
        {
          name: "video-storage",
          cluster: { server, "certificate-authority-data": encode(authority.certificate) },
        },
      ],
      users: [
        {
          name,
          user: { "client-certificate-data": encode(pair.certificate), "client-key-data": encode(pair.key) },
        },
      ],
    };
    await writeFile(path, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
    return path;
  };

  const admin = await kubeconfig("admin", "local-admin", ["system:masters"]);
  const adminPair = await authority.issue("admin", { name: "local-admin", groups: ["system:masters"] });
  const answers = (path: string) => (): Promise<boolean> =>
    httpsAnswers(`${server}${path}`, {
      ca: authority.certificate,
      cert: adminPair.certificate,
      key: adminPair.key,
    });
  const answersInside = (url: string) => async (): Promise<boolean> =>
    (await sandbox.run(process.execPath, ["-e", FETCH, url])).code === 0;
  const start = (name: string, args: readonly string[], env?: NodeJS.ProcessEnv): Launched =>
    sandbox.launch(name, kubernetes, [name, ...args], env);

  report("etcd");
  await ensureAnswering(sandbox, "etcd", answersInside("http://127.0.0.1:2381/health"), () =>
    sandbox.launch("etcd", join(programs["runtime"]!, "etcd"), [
      `--data-dir=${join(state, "etcd")}`,
      "--listen-client-urls=http://127.0.0.1:2379",
      "--advertise-client-urls=http://127.0.0.1:2379",
      "--listen-metrics-urls=http://127.0.0.1:2381",
      "--listen-peer-urls=http://127.0.0.1:2380",
      "--log-level=warn",
    ]),
  );

  report("the API server");
  const serving = await authority.issue("apiserver", {
    name: "kube-apiserver",
    hosts: [
      ...[
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
      ],
      ...["localhost", "127.0.0.1", nodeAddress, addressIn(network.serviceRange, 1)],
    ],
  });
  const kubeletClient = await authority.issue("apiserver-kubelet-client", {
    name: "kube-apiserver-kubelet-client",
    groups: ["system:masters"],
  });
  const accounts = await authority.issue("service-accounts", { name: "service-accounts" });
  await ensureAnswering(sandbox, "kube-apiserver", answers("/readyz"), () =>
    start("kube-apiserver", [
      "--etcd-servers=http://127.0.0.1:2379",
      `--advertise-address=${nodeAddress}`,
      `--service-cluster-ip-range=${network.serviceRange}`,
      `--client-ca-file=${authority.certificateFile}`,
      `--tls-cert-file=${serving.certificateFile}`,
      `--tls-private-key-file=${serving.keyFile}`,
      `--kubelet-client-certificate=${kubeletClient.certificateFile}`,
      `--kubelet-client-key=${kubeletClient.keyFile}`,
      "--kubelet-preferred-address-types=InternalIP",
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--service-account-key-file=${accounts.certificateFile}`,
      `--service-account-signing-key-file=${accounts.keyFile}`,
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      // Who may create pods here is root of this machine already, and an environment that takes this cluster
      // for somebody's own makes its slots with a privileged pod.
      "--allow-privileged=true",
    ]),
  );

  report("the controllers and the scheduler");
  const controllers = await kubeconfig("kube-controller-manager", "system:kube-controller-manager");
  const scheduler = await kubeconfig("kube-scheduler", "system:kube-scheduler");
  await Promise.all([
    ensureRunning(sandbox, "kube-controller-manager", () =>
      start("kube-controller-manager", [
        `--kubeconfig=${controllers}`,
        `--root-ca-file=${authority.certificateFile}`,
        `--service-account-private-key-file=${accounts.keyFile}`,
        "--use-service-account-credentials",
        "--leader-elect=false",
      ]),
    ),
    ensureRunning(sandbox, "kube-scheduler", () =>
      start("kube-scheduler", [`--kubeconfig=${scheduler}`, "--leader-elect=false"]),
    ),
  ]);

  report("containerd");
  const tools = { PATH: `${debian.path}:${process.env["PATH"]}`, LD_LIBRARY_PATH: debian.libraries };
  const ctrArguments = ["--namespace", "k8s.io"];
  const ctr = (args: readonly string[]): Promise<string> =>
    sandbox.must(join(programs["runtime"]!, "ctr"), [...ctrArguments, ...args]);
  await writeFile(join(state, "containerd.toml"), await containerdConfiguration(parts));
  await writeNetworkConfiguration(parts);
  const containerdEnv = { ...tools, PATH: `${programs["runtime"]}:${tools.PATH}` };
  await ensureAnswering(
    sandbox,
    "containerd",
    async () => (await sandbox.run(join(programs["runtime"]!, "ctr"), ["version"])).code === 0,
    () =>
      sandbox.launch(
        "containerd",
        join(programs["runtime"]!, "containerd"),
        ["--config", join(state, "containerd.toml")],
        containerdEnv,
      ),
  );

  report("the kubelet");
  const node = await kubeconfig("kubelet", `system:node:${NODE_NAME}`, ["system:nodes"]);
  const configuration = kubeletConfiguration(parts, authority.certificateFile);
  await writeFile(join(state, "kubelet.json"), `${JSON.stringify(configuration, null, 2)}\n`);
  await ensureAnswering(sandbox, "kubelet", answersInside("http://127.0.0.1:10248/healthz"), () =>
    start(
      "kubelet",
      [
        `--config=${join(state, "kubelet.json")}`,
        `--kubeconfig=${node}`,
        `--hostname-override=${NODE_NAME}`,
        `--node-ip=${nodeAddress}`,
      ],
      tools,
    ),
  );
  const proxy = await kubeconfig("kube-proxy", "system:kube-proxy");
  await writeFile(
    join(state, "kube-proxy.json"),
    `${JSON.stringify(proxyConfiguration(proxy, network), null, 2)}\n`,
  );
  await ensureRunning(sandbox, "kube-proxy", () =>
    start(
      "kube-proxy",
      [`--config=${join(state, "kube-proxy.json")}`, `--hostname-override=${NODE_NAME}`],
      tools,
    ),
  );
  return {
    kubeconfig: admin,
    kubectl: async (args, input) =>
      sandbox.must(
        kubernetes,
        ["kubectl", `--kubeconfig=${admin}`, ...args],
        input === undefined ? {} : { input },
      ),
    ctr,
  };
}

/** Waits until the node takes pods. */
export async function waitForNode(cluster: Cluster): Promise<void> {
  for (let tries = 0; tries < 240; tries++) {
    const condition = await cluster
      .kubectl(["get", "node", NODE_NAME, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"])
      .catch(() => "");
    if (condition === "True") return;
    await sleep(500);
  }
  throw new Failure(
    `The node did not become ready in two minutes.`,
    "Look at logs/kubelet.log and logs/containerd.log.",
  );
}

async function containerdConfiguration({ sandbox, debian, programs }: Parts): Promise<string> {
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
async function writeNetworkConfiguration({ sandbox, network }: Parts): Promise<void> {
  const directory = join(sandbox.stateDirectory, "cni");
  await mkdir(directory, { recursive: true });
  const ipam = {
    type: "host-local",
    ranges: [[{ subnet: network.podRange }]],
    routes: [{ dst: "0.0.0.0/0" }],
    dataDir: "/run/cni",
  };
  const configuration = { cniVersion: "1.0.0", name: "pods", plugins: [{ type: "ptp", ipam }] };
  await writeFile(join(directory, "10-pods.conflist"), `${JSON.stringify(configuration, null, 2)}\n`);
}

function kubeletConfiguration({ sandbox, network }: Parts, authority: string): object {
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
    cgroupRoot: controlGroup(sandbox.stateDirectory),
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
    clusterCIDR: network.podRange,
    clientConnection: { kubeconfig },
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
}

/**
 * Waits until a program answers; starts it first unless it runs already, which it may without answering
 * when an earlier start was cut short.
 */
export async function ensureAnswering(
  sandbox: Sandbox,
  name: string,
  answers: () => Promise<boolean>,
  start: () => Launched,
  seconds = 90,
): Promise<void> {
  if (await answers()) return;
  const launched = (await isRunning(sandbox, name)) ? undefined : start();
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline && !launched?.ended()) {
    await sleep(200);
    if (await answers()) return;
  }
  const log = join(sandbox.stateDirectory, "logs", `${name}.log`);
  const said = (await readFile(log, "utf8").catch(() => "")).trim().split("\n").slice(-5).join("\n");
  throw new Failure(
    `${name} ${launched?.ended() ? "ended at its start" : `did not answer within ${seconds} s`}:\n${said}`,
    `Its whole log: ${log}. npm run destroy clears what is there for a new beginning.`,
  );
}

/** Starts a program that nothing can ask, unless it runs, and sees it through its first moment. */
async function ensureRunning(sandbox: Sandbox, name: string, start: () => Launched): Promise<void> {
  let launched: Launched | undefined;
  if (!(await isRunning(sandbox, name))) {
    launched = start();
    await sleep(300);
  }
  await ensureAnswering(
    sandbox,
    name,
    async () => launched?.ended() !== true,
    () => launched!,
    1,
  );
}

async function isRunning(sandbox: Sandbox, name: string): Promise<boolean> {
  const processes = await processesOf(sandbox);
  return processes.some(({ words }) => basename(words[0] ?? "") === name || words[1] === name);
}

function httpsAnswers(url: string, trust: { ca: string; cert: string; key: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(url, { ...trust, timeout: 2_000, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.once("error", () => resolve(false)).once("timeout", () => call.destroy());
    call.end();
  });
}
