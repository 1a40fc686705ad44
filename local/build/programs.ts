import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename } from "node:fs/promises";
import { join } from "node:path";

import { must, run } from "../command.js";
import { Failure } from "../failure.js";
import { PROJECT, cacheDirectory, fingerprint } from "../paths.js";
import { step } from "../progress.js";
import type { Report } from "../progress.js";
import { madeOnce } from "./kept.js";

interface GoProgram {
  readonly title: string;
  /** Folder below local/programs with the go.mod, whose go.sum pins what is built. */
  readonly module: string;
  /** What `go build` is told to build. */
  readonly target: string;
  readonly ldflags?: string;
  /** Binaries that `go build` names after the package path's last part, and the name they are known by. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Only tests need it, so no environment is kept waiting for it. */
  readonly onlyTests?: boolean;
}

const KUBERNETES_VERSION = "v1.34.4";

const PROGRAMS: readonly GoProgram[] = [
  {
    title: `Kubernetes ${KUBERNETES_VERSION}`,
    module: "kubernetes",
    target: ".",
    // Unstamped, the server reports a version that clients refuse to parse.
    ldflags: [
      "k8s.io/component-base/version.gitMajor=1",
      "k8s.io/component-base/version.gitMinor=34",
      `k8s.io/component-base/version.gitVersion=${KUBERNETES_VERSION}`,
      `k8s.io/client-go/pkg/version.gitVersion=${KUBERNETES_VERSION}`,
    ]
      .map((value) => `-X ${value}`)
      .join(" "),
  },
  {
    title: "etcd, containerd and the CNI plugins",
    module: "runtime",
    target: "tool",
    renamed: { server: "etcd" },
  },
  { title: "CoreDNS", module: "coredns", target: "." },
  { title: "MinIO", module: "minio", target: "github.com/minio/minio" },
  { title: "the MinIO client", module: "mc", target: "github.com/minio/mc" },
  { title: "Cyclonus' rules for NetworkPolicies", module: "network-policies", target: ".", onlyTests: true },
  {
    title: "the Versity S3 gateway",
    module: "versitygw",
    target: "github.com/versity/versitygw/cmd/versitygw",
    onlyTests: true,
  },
];

/** Directories of the built programs, by the name of their module. */
export type Programs = Readonly<Record<string, string>>;

/**
 * Builds every Go program that the environment runs and that the cache lacks, or the given modules of them, or all,
 * those too that only tests run, and says where they are. An interrupted build leaves nothing half-done.
 */
export async function buildPrograms(modules?: readonly string[] | "all"): Promise<Programs> {
  const directories: Record<string, string> = {};
  const wanted = PROGRAMS.filter(
    ({ module, onlyTests }) => modules === "all" || (modules?.includes(module) ?? !onlyTests),
  );
  for (const program of wanted) directories[program.module] = await buildProgram(program);
  return directories;
}

/** Whether every program that the environment runs is in the cache. */
export async function areBuilt(): Promise<boolean> {
  const needed = PROGRAMS.filter(({ onlyTests }) => !onlyTests);
  const built = await Promise.all(needed.map(async (program) => existsSync(await directoryOf(program))));
  return built.every(Boolean);
}

/** Throws {@link Failure} when there is nothing to build with. */
export async function requireGo(): Promise<void> {
  const found = await run("go", ["version"]).catch(() => undefined);
  if (found?.code === 0) return;
  throw new Failure(
    "Go was not found on PATH, and the local environment is built with it.",
    "Install Go 1.24 or later and start again.",
  );
}

async function directoryOf(program: GoProgram): Promise<string> {
  const source = sourceOf(program);
  const files = (await readdir(source)).sort();
  const contents = await Promise.all(files.map((file) => readFile(join(source, file))));
  const identity = fingerprint(process.arch, program.target, program.ldflags ?? "", ...contents);
  return join(cacheDirectory(), "programs", `${program.module}-${identity}`);
}

function sourceOf(program: GoProgram): string {
  return join(PROJECT, "local", "programs", program.module);
}

async function buildProgram(program: GoProgram): Promise<string> {
  const directory = await directoryOf(program);
  if (existsSync(directory)) return directory;
  await step(`Building ${program.title} (first time only; kept for the next)`, async (report) => {
    report("waiting for another build");
    await madeOnce(directory, "build", async (building) => {
      await mkdir(building);
      await compile(program, sourceOf(program), building, report);
    });
  });
  return directory;
}

async function compile(program: GoProgram, source: string, output: string, report: Report): Promise<void> {
  const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -buildvcs=false" };
  report("downloading modules");
  let fetched = 0;
  const listed = await run("go", ["list", "-deps", program.target], {
    cwd: source,
    env,
    onLine: (line) => {
      if (line.startsWith("go: downloading")) report(`downloading modules: ${++fetched}`);
    },
  });
  if (listed.code !== 0) {
    throw new Failure(
      `${program.title} could not be downloaded: ${listed.stderr.trim().split("\n").at(-1)}`,
      "Check that the Go module proxy can be reached (go env GOPROXY) and start again.",
    );
  }
  const total = listed.stdout.trim().split("\n").length;
  let compiled = 0;
  const args = [
    "build",
    "-v",
    "-trimpath",
    "-ldflags",
    `-s -w ${program.ldflags ?? ""}`.trim(),
    "-o",
    `${output}/`,
  ];
  await must("go", [...args, program.target], {
    cwd: source,
    env,
    onLine: () => report(`${++compiled} of at most ${total} packages compiled`),
  });
  for (const [from, to] of Object.entries(program.renamed ?? {}))
    await rename(join(output, from), join(output, to));
}
