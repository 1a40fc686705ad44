import { readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { DebianPrograms } from "../build/debian-packages.js";
import type { Programs } from "../build/programs.js";
import { Failure } from "../failure.js";
import type { Report } from "../progress.js";
import { CertificateAuthority } from "./certificates.js";
import type { Network } from "./network.js";
import { processesOf } from "./sandbox.js";
import type { Launched, Sandbox } from "./sandbox.js";

/** Name of the context in its kubeconfig files. */
export const CONTEXT = "video-storage";

/** Asks a server that listens inside the sandbox only, by host, port and path: in a tenth of the time that Node.js takes. */
const GET = `exec 3<>"/dev/tcp/$1/$2" && printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$3" "$1" >&3 &&
  read -r -t 2 _ status _ <&3 && [ "$status" = 200 ]`;

/** What the parts of the environment are made from. */
export interface Parts {
  /** Node 0. */
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

/** Brings up etcd and the control plane on node 0, each part unless it already answers, and waits for them. */
export async function ensureControlPlane(parts: Parts, report: Report): Promise<Cluster> {
  const { sandbox, network, programs } = parts;
  const state = sandbox.stateDirectory;
  const authority = await openAuthority(state);
  const { nodeAddress } = network;
  const server = serverUrl(network);
  const kubernetes = join(programs["kubernetes"]!, "kubernetes");

  const kubeconfig = (file: string, name: string, groups: string[] = []): Promise<string> =>
    writeKubeconfig(state, network, { file, name, groups });
  const admin = await kubeconfig("admin", "local-admin", ["system:masters"]);
  const adminPair = await authority.issue("admin", { name: "local-admin", groups: ["system:masters"] });
  const answers = (path: string) => (): Promise<boolean> =>
    httpsAnswers(`${server}${path}`, {
      ca: authority.certificate,
      cert: adminPair.certificate,
      key: adminPair.key,
    });
  const start = (name: string, args: readonly string[], env?: NodeJS.ProcessEnv): Launched =>
    sandbox.launch(name, kubernetes, [name, ...args], env);

  report("etcd");
  await ensureAnswering(sandbox, "etcd", answersInside(sandbox, "http://127.0.0.1:2381/health"), () =>
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

  return {
    kubeconfig: admin,
    kubectl: async (args, input) =>
      sandbox.must(
        kubernetes,
        ["kubectl", `--kubeconfig=${admin}`, ...args],
        input === undefined ? {} : { input },
      ),
  };
}

/** Who a kubeconfig is for; it is kept under the file's name. */
export interface KubeconfigSubject {
  readonly file: string;
  readonly name: string;
  readonly groups: readonly string[];
}

/** Writes the kubeconfig of one user of the environment's cluster, and returns its file. */
export async function writeKubeconfig(
  state: string,
  network: Network,
  { file, name, groups }: KubeconfigSubject,
): Promise<string> {
  const authority = await openAuthority(state);
  const pair = await authority.issue(file, { name, groups: [...groups] });
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
        cluster: {
          server: serverUrl(network),
          "certificate-authority-data": encode(authority.certificate),
        },
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
}

/** The authority that the cluster's certificates are signed by; made at first use. */
export function openAuthority(state: string): Promise<CertificateAuthority> {
  return CertificateAuthority.open(join(state, "certificates"));
}

function serverUrl({ nodeAddress }: Network): string {
  return `https://${nodeAddress}:6443`;
}

/** Whether a server that listens inside a sandbox only answers. */
export function answersInside(sandbox: Sandbox, url: string): () => Promise<boolean> {
  const { hostname, port, pathname } = new URL(url);
  return async () => (await sandbox.run("bash", ["-c", GET, "bash", hostname, port, pathname])).code === 0;
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
export async function ensureRunning(sandbox: Sandbox, name: string, start: () => Launched): Promise<void> {
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
