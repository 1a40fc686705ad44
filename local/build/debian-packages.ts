import { existsSync } from "node:fs";
import { access, constants, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";

import { must, run } from "../command.js";
import { Failure } from "../failure.js";
import { cacheDirectory, fingerprint } from "../paths.js";
import { step } from "../progress.js";
import { madeOnce } from "./kept.js";

/**
 * Programs taken from the distribution: runc because Debian builds it with seccomp, which a static build
 * lacks; the rest because it is the same program without a build.
 */
const PACKAGES = [
  "runc",
  "nftables",
  "iproute2",
  "tini",
  "busybox-static",
  "prometheus",
  "prometheus-node-exporter",
  "prometheus-pushgateway",
  "cryptsetup-bin",
  "fdisk",
  "xfsprogs",
] as const;

/** Where the distribution's programs are found, and what the dynamic linker needs for them. */
export interface DebianPrograms {
  /** What was unpacked, laid out as in a system's root. */
  readonly directory: string;
  /** For PATH. */
  readonly path: string;
  /** For LD_LIBRARY_PATH. */
  readonly libraries: string;
  /** The absolute path of one program. Throws {@link Failure}. */
  find(name: string): Promise<string>;
}

/**
 * Downloads what the machine lacks of some packages and their dependencies, by default those that everything needs, and unpacks it into the
 * cache. Nothing is installed: no service starts and no file of the system changes. apt checks the
 * archive's signatures and each package's checksum.
 */
export async function unpackDebianPackages(wanted: readonly string[] = PACKAGES): Promise<DebianPrograms> {
  const directory = await unpackedDirectory(wanted);
  if (!existsSync(directory)) {
    await step("Downloading programs from the distribution's packages", (report) =>
      madeOnce(directory, "debian", async (unpacking) => {
        const archives = join(unpacking, "archives");
        await mkdir(join(archives, "partial"), { recursive: true });
        await download(archives, wanted, report);
        const packages = (await readdir(archives)).filter((file) => file.endsWith(".deb")).sort();
        for (const file of packages) {
          report(`unpacking ${file.split("_")[0]}`);
          await must("dpkg-deb", ["-x", join(archives, file), unpacking]);
        }
        await rm(archives, { recursive: true });
        await writeFile(join(unpacking, "packages.txt"), packages.map((file) => `${file}\n`).join(""));
      }),
    );
  }
  const path = ["usr/sbin", "usr/bin", "sbin", "bin"].map((part) => join(directory, part)).join(delimiter);
  // Programs without libraries of their own leave no such directory.
  const libraries = (await readdir(join(directory, "usr/lib"), { withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isDirectory() && entry.name.endsWith("-linux-gnu"))
    .map((entry) => join(directory, "usr/lib", entry.name))
    .join(delimiter);
  return {
    directory,
    path,
    libraries,
    find: (name) => findOn([path, process.env["PATH"] ?? "", "/usr/sbin:/sbin"], name),
  };
}

async function download(
  archives: string,
  wanted: readonly string[],
  report: (detail: string) => void,
): Promise<void> {
  const fetch = (): ReturnType<typeof run> =>
    run(
      "apt-get",
      [
        "install",
        "--yes",
        "--download-only",
        "--no-install-recommends",
        "-o",
        `Dir::Cache::archives=${archives}/`,
        ...wanted,
      ],
      { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, onLine: report },
    );
  let fetched = await fetch();
  if (fetched.code !== 0) {
    // A new machine has no package lists, an old one stale ones: either looks like a missing package.
    await must("apt-get", ["update"], { onLine: report });
    fetched = await fetch();
  }
  if (fetched.code === 0) return;
  throw new Failure(
    `apt-get could not download ${wanted.join(", ")}: ${fetched.stderr.trim().split("\n").at(-1)}`,
    "Check that the distribution's package archive can be reached (apt-get update) and start again.",
  );
}

/** Throws {@link Failure} when there is something to download and nothing to download it with. */
export async function requireApt(): Promise<void> {
  if (existsSync(await unpackedDirectory())) return;
  const found = await run("dpkg-deb", ["--version"]).catch(() => undefined);
  if (found?.code === 0) return;
  throw new Failure(
    "This machine has no dpkg and apt, and the local environment takes runc, nft and Prometheus from Debian's packages.",
    "Use a Debian-like machine, or a cluster that you have: npm start -- --context NAME.",
  );
}

async function unpackedDirectory(wanted: readonly string[] = PACKAGES): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  return join(cacheDirectory(), "debian", fingerprint(release, ...wanted));
}

async function findOn(paths: readonly string[], name: string): Promise<string> {
  for (const directory of paths.join(delimiter).split(delimiter)) {
    const candidate = join(directory, name);
    const usable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (directory && usable) return candidate;
  }
  throw new Failure(`The program ${name} was not found.`, `Install it (apt-get install) and start again.`);
}
