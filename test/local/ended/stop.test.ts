import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { CoreV1Api } from "@kubernetes/client-node";
import pg from "pg";
import { describe, expect, it } from "vitest";

import { apiClient } from "../../../local/api-client.js";
import { must } from "../../../local/command.js";
import { DATABASE_NAME, adminPassword, adminUrl } from "../../../local/environment/administrator.js";
import { keptNetwork, networkOf } from "../../../local/environment/network.js";
import { ensurePostgres } from "../../../local/environment/postgres.js";
import { containerGroups, findSandbox } from "../../../local/environment/sandbox.js";
import { stateDirectory } from "../../../local/paths.js";
import { kubeConfigOf, local } from "../../support/local-environment.js";
import { KEPT } from "../../support/running-environment.js";
import { NAME } from "../../support/started-environment.js";

// What is left to be seen of the environment that the files before had: how it ends.

const state = stateDirectory(NAME);

/** Control groups of containers that this environment has had. */
const groups = new Set<string>();

/** What this environment could leave on the machine outside its state directory. */
async function traces(): Promise<string[]> {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const loops = await must("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"]);
  const links = await must("ip", ["-brief", "link"]);
  const routes = await must("ip", ["route"]);
  const { bridge } = networkOf(state, 0);
  const sandbox = await findSandbox(state);
  if (sandbox) for (const group of await containerGroups(sandbox)) groups.add(group);
  const processes = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => {
      try {
        return readFileSync(`/proc/${entry}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    });
  return [
    ...mounts.filter((line) => line.includes(state)),
    ...loops.split("\n").filter((line) => line.includes(state)),
    ...[...links.split("\n"), ...routes.split("\n")].filter((line) => line.includes(bridge)),
    ...[...groups].filter((group) => existsSync(group)),
    ...processes.filter((line) => line.includes(state)),
    ...(existsSync(state) ? [state] : []),
  ];
}

describe.skipIf(KEPT)("npm run stop", () => {
  it("ends what start started and nothing else, and keeps the data", async () => {
    // Named as one of ours is, but not ours.
    const bystander = spawn("bash", ["-c", "exec -a etcd sleep 300"], { stdio: "ignore" });
    try {
      const core = apiClient(kubeConfigOf(NAME), CoreV1Api);
      const body = { metadata: { name: "kept" }, data: { from: "before the stop" } };
      await core.createNamespacedConfigMap({ namespace: "video-jobs", body });
      const stopped = await local("stop", NAME);
      expect([stopped.code, await findSandbox(state)]).toEqual([0, undefined]);
      expect(await traces()).toEqual([state]);
      expect([bystander.exitCode, bystander.signalCode]).toEqual([null, null]);
      const again = await local("stop", NAME);
      expect([again.code, again.output]).toEqual([0, expect.stringContaining("Nothing was running.")]);

      const started = await local("start", NAME, "--no-jobs");
      expect([started.code, started.output]).toEqual([0, expect.stringContaining("Ready after")]);
      const kept = await core.readNamespacedConfigMap({ namespace: "video-jobs", name: "kept" });
      expect(kept.data).toEqual({ from: "before the stop" });
    } finally {
      bystander.kill("SIGKILL");
    }
  });
});

describe.skipIf(KEPT)("a start that was cut short before the catalogue's database was made", () => {
  it("goes on with the Postgres that it left at work", async () => {
    const network = await keptNetwork(state);
    const url = adminUrl(await adminPassword(state), network.nodeAddress);
    const ask = async (database: string, query: string): Promise<unknown[]> => {
      const client = new pg.Client({ connectionString: url.replace(/[^/]*$/, database) });
      await client.connect();
      return client.query(query).then(
        ({ rows }) => client.end().then(() => rows),
        (error: Error) => client.end().then(() => Promise.reject(error)),
      );
    };
    await ask("postgres", `drop database ${DATABASE_NAME} with (force)`);
    const identity = join(state, "postgres", "postmaster.pid");
    const before = readFileSync(identity, "utf8").split("\n")[0];
    const sandbox = await findSandbox(state);
    await ensurePostgres(sandbox!, network);
    // A postmaster ends itself within a minute of losing this file, so an answer alone would show little.
    expect(readFileSync(identity, "utf8").split("\n")[0]).toBe(before);
    expect(await ask(DATABASE_NAME, "select 1 as one")).toEqual([{ one: 1 }]);
  });
});

describe.skipIf(KEPT)("npm run destroy", () => {
  it("removes every trace", async () => {
    expect((await traces()).length).toBeGreaterThan(5);
    const ended = await local("destroy", NAME);
    expect([ended.code, ended.output]).toEqual([0, expect.stringContaining("Nothing of it is left.")]);
    expect(await traces()).toEqual([]);
    const again = await local("destroy", NAME);
    expect([again.code, again.output]).toEqual([0, expect.stringContaining("There was none.")]);
  });
});
