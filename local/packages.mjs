// Plain JavaScript without dependencies: it brings those that everything else has.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { keepNewest } from "./build/keep-newest.mjs";
import { removeUnfinished, unfinished } from "./build/unfinished.mjs";
import { cacheDirectory } from "./cache-directory.mjs";

const STAMP = ".installed-lockfile";
/** Of checkouts that are worked on beside each other; each takes three quarters of a gigabyte. */
const KEPT = 2;
/** Named by the beginning of their lockfile's hash; what is being copied isn't. */
const PACKAGES = /^[0-9a-f]{16}-/;

/**
 * Installs what the lockfile says, unless it is there: from what an earlier checkout with this lockfile installed, or
 * else by npm. Resolves to an exit code, 0 when all is there.
 *
 * Checkouts share the packages' files, as those of pnpm do, where their filesystem is that of the cache: copying
 * 47,000 files takes half a minute where they aren't in memory. A file that somebody wrote to goes into no further checkout.
 * @param {string} project
 * @param {(command: string, parameters: readonly string[]) => Promise<number>} run
 */
export async function installPackages(project, run) {
  const lockfile = createHash("sha256")
    .update(readFileSync(join(project, "package-lock.json")))
    .digest("hex");
  const packages = join(project, "node_modules");
  if (isStamped(packages, lockfile)) return 0;
  const started = Date.now();
  console.log("· Installing the packages of the lockfile (about a minute the first time)");
  const kept = join(
    cacheDirectory(),
    "packages",
    `${lockfile.slice(0, 16)}-${process.platform}-${process.arch}`,
  );
  const fromCache = isAsInstalled(kept, lockfile) && (await placed(kept, packages, join(project, ".local")));
  if (!fromCache) {
    const code = await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    if (code !== 0) {
      console.error("✗ npm ci failed. Check that the npm registry can be reached, and start again.");
      return code;
    }
    writeFileSync(join(packages, STAMP), lockfile);
    if (await placed(packages, kept, dirname(kept))) await keepNewest(dirname(kept), PACKAGES, KEPT);
  }
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const from = fromCache ? ", those of an earlier checkout" : "";
  console.log(`✓ Installing the packages of the lockfile (${seconds} s${from})`);
  return 0;
}

/**
 * @param {string} packages
 * @param {string} lockfile
 */
function isStamped(packages, lockfile) {
  const stamp = join(packages, STAMP);
  return existsSync(stamp) && readFileSync(stamp, "utf8") === lockfile;
}

/**
 * @param {string} kept
 * @param {string} lockfile
 */
function isAsInstalled(kept, lockfile) {
  if (!isStamped(kept, lockfile)) return false;
  const written = ["-type", "f", "-newer", join(kept, STAMP), "-print", "-quit"];
  const { status, stdout } = spawnSync("find", [kept, ...written], { encoding: "utf8" });
  return status === 0 && stdout === "";
}

/**
 * Puts a directory like another in a place, by way of a third on the place's filesystem: what is in the place is whole,
 * whenever this is killed. False where that can't be done, as on a full disk; then nothing is left of it.
 * @param {string} directory
 * @param {string} place
 * @param {string} way
 */
async function placed(directory, place, way) {
  const making = unfinished(join(way, "packages"));
  const made = (how) => {
    rmSync(making, { recursive: true, force: true });
    // cp(1) takes a fifth of the time of Node.js's own.
    return spawnSync("cp", [...how, directory, making], { stdio: "ignore" }).status === 0;
  };
  try {
    mkdirSync(way, { recursive: true });
    await removeUnfinished(way);
    if (!made(["--archive", "--link"]) && !made(["--archive"])) return false;
    rmSync(place, { recursive: true, force: true });
    renameSync(making, place);
    utimesSync(place, new Date(), new Date());
    return true;
  } catch {
    return false;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}
