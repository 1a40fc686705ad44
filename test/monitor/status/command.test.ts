import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Status } from "@video-storage/monitor/status/model";
import { isLoopback } from "@video-storage/monitor/status/run";
import { bundledProgram } from "../../support/bundles.js";
import type { BundledProgram } from "../../support/bundles.js";
import { startPostgres } from "../../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../../support/postgres.js";
import { addHistory } from "./history.js";
import { CAPACITY, addDeletions, cleanupConfig, contractOf } from "./surroundings.js";

/** The bundled program, as an image or somebody's machine has it. */

vi.setConfig({ testTimeout: 60_000 });

let postgres: TestPostgres;
let catalogue: TestCatalogue;
let base: string;
let monitor: BundledProgram;
const running: ChildProcess[] = [];

beforeAll(async () => {
  base = fs.mkdtempSync(`${tmpdir()}/status-command-`);
  monitor = await bundledProgram("monitor");
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
  await addHistory(catalogue, { volumes: 4, capacityBytes: CAPACITY, sweeps: 4, tenants: ["acme"], jobs: 8 });
  await addDeletions(catalogue, 2);
  const { host, port, database, tls } = catalogue.settings("auditor");
  const contract = contractOf(4, { catalogue: { host, port, database, tls } });
  fs.writeFileSync(`${base}/contract.json`, JSON.stringify(contract));
  fs.writeFileSync(`${base}/cleanup.json`, JSON.stringify(cleanupConfig(contract)));
  fs.mkdirSync(`${base}/login`);
  fs.writeFileSync(`${base}/login/username`, "auditor\n");
  fs.writeFileSync(`${base}/login/password`, "auditor-password\n");
}, 120_000);
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});
afterAll(async () => {
  await catalogue?.close();
  await postgres?.stop();
  fs.rmSync(base, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...words: string[]): {
  child: ChildProcess;
  ended: Promise<Ended>;
  said: (what: RegExp) => Promise<RegExpExecArray>;
} {
  const sources = ["--contract", `${base}/contract.json`, "--catalogue-credentials", `${base}/login`];
  const child = spawn(process.execPath, [monitor.file, "status", ...sources, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    // Elsewhere than the checkout: nothing of it may be needed.
    cwd: base,
  });
  running.push(child);
  let [stdout, stderr] = ["", ""];
  child.stdout!.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) =>
    child.once("close", (code) => resolve({ code, stdout, stderr })),
  );
  const said = async (what: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = what.exec(stdout);
      if (found) return found;
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  return { child, ended, said };
}

const CLEANUP = (): string[] => ["--cleanup-config", `${base}/cleanup.json`];

describe("monitor status --json", () => {
  it("prints one object, proves the audit, and ends with 1 while something needs a look", async () => {
    const { code, stdout, stderr } = await start("--json", ...CLEANUP()).ended;
    const status = JSON.parse(stdout) as Status;
    expect([code, stderr, stdout.trim().split("\n").length]).toEqual([status.level === "ok" ? 0 : 1, "", 1]);
    expect(status).toMatchObject({
      ...{
        statusVersion: 1,
        environment: "test",
        catalogue: { state: "ok" },
        prometheus: { state: "not-configured" },
      },
      audit: { verification: { state: "intact", entries: 4, chains: 2 } },
      next: { rulesFrom: "cleanup-config" },
    });
    expect(status.volumes!.shown).toHaveLength(4);
    expect(stdout).not.toContain("auditor-password");
  });

  it("ends with 0 when all is well, and leaves the proof out when told", async () => {
    const { code, stdout } = await start("--json", "--no-verify", "--search", "slot-0", "--volumes", "1")
      .ended;
    const status = JSON.parse(stdout) as Status;
    // Without the sweep's settings there is no mark that a volume could be over.
    expect([code, status.level, status.problems]).toEqual([0, "ok", []]);
    expect(status.audit.verification.state).toBe("not-asked");
    expect(status.volumes!.shown.map(({ name }) => name)).toEqual(["node-0-slot-0"]);
    expect(status.next!.rulesFrom).toBe("contract");
  });

  it("ends with 1 and says so when the catalogue can't be reached, or refuses the login", async () => {
    const away = await start("--json", "--no-verify", "--catalogue", "127.0.0.1:1").ended;
    const status = JSON.parse(away.stdout) as Status;
    expect([away.code, status.catalogue.state, status.volumes]).toEqual([1, "unreachable", null]);
    fs.writeFileSync(`${base}/login/password`, "wrong\n");
    try {
      const refused = await start("--once").ended;
      expect([refused.code, refused.stdout.includes("refused: password authentication failed")]).toEqual([
        1,
        true,
      ]);
      expect(refused.stdout).not.toContain("wrong");
    } finally {
      fs.writeFileSync(`${base}/login/password`, "auditor-password\n");
    }
  });
});

describe("monitor status --once", () => {
  it("prints text without colours where there is no terminal", async () => {
    const { stdout } = await start("--once", ...CLEANUP()).ended;
    expect(stdout).not.toContain("\u001b");
    expect(stdout.split("\n")[0]).toMatch(/^Video storage · test {2}[!✓✕] /);
    expect(stdout).toContain("every chain whole: 4 rows in 2 chains");
  });
});

describe("monitor status", () => {
  it("serves the page until Ctrl-C and ends with 0", async () => {
    const { child, said, ended } = start("--port", "0");
    const [, url] = await said(/The status page is at (http:\/\/127\.0\.0\.1:\d+\/)/);
    const page = await fetch(url!);
    expect([page.status, await page.text()]).toEqual([
      200,
      expect.stringContaining('<script type="module" src="/page.js">'),
    ]);
    expect((await fetch(`${url}page.js`)).status).toBe(200);
    const status = (await (await fetch(`${url}api/v1/status`)).json()) as Status;
    expect(status.environment).toBe("test");
    child.kill("SIGINT");
    expect(await ended).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(/\nStopped\.\n$/) as string,
    });
    await expect(fetch(url!)).rejects.toThrow();
  });

  it("takes the next port when the usual one is taken, and refuses one that was named", async () => {
    const other = net.createServer();
    const usual = await new Promise<boolean>((resolve) => {
      other.once("error", () => resolve(false)).listen(8417, "127.0.0.1", () => resolve(true));
    });
    try {
      const { child, said, ended } = start();
      const [, port] = await said(/The status page is at http:\/\/127\.0\.0\.1:(\d+)\//);
      // Taken by this test, or by somebody's page.
      expect(Number(port)).toSatisfy((found: number) => found > 8417 && found < 8437);
      expect((await said(/Port 8417 is taken; trying the next\./))[0]).not.toBe("");
      const named = await start("--port", port!).ended;
      expect([named.code, named.stderr]).toEqual([
        2,
        `monitor: port ${port} of 127.0.0.1 is taken by another program: name another with --port, or none for the next free one\n`,
      ]);
      child.kill("SIGTERM");
      expect((await ended).code).toBe(0);
    } finally {
      if (usual) await new Promise((resolve) => other.close(resolve));
    }
  });

  it.each([
    [["--once", "--json"], "monitor: --once and --json exclude each other"],
    [["--host", "0.0.0.0"], "monitor: --host 0.0.0.0 can be reached from other machines"],
    [["--port", "70000"], "It must be a whole number from 0 to 65535."],
    [["--prometheus", "file:///etc/passwd"], "It must be an address such as http://127.0.0.1:9090."],
    [["--prometheus", "http://user:secret@127.0.0.1"], "It must not hold a name or password."],
    [["--catalogue", "nowhere"], "It must be a host and a port, such as 127.0.0.1:5432."],
    [
      ["--contract", "/nonexistent"],
      "monitor: the stack's contract can't be read from /nonexistent (ENOENT)",
    ],
    [
      ["--catalogue-credentials", "/nonexistent"],
      "monitor: the auditor's login can't be read from /nonexistent (ENOENT)",
    ],
    [["--nonsense"], "unknown option '--nonsense'"],
  ])("refuses %j with 2, and says why", async (words, why) => {
    const { code, stdout, stderr } = await start(...words).ended;
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(why);
  });

  it("explains itself", async () => {
    const { code, stdout } = await start("--help").ended;
    expect(code).toBe(0);
    for (const words of ["--once", "--json", "--expose", "Exit codes:", "It reads and changes nothing."])
      expect(stdout).toContain(words);
  });

  it("takes only addresses of loopback for such", () => {
    expect(["127.0.0.1", "127.9.9.9", "::1", "localhost"].map(isLoopback)).toEqual([true, true, true, true]);
    expect(["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example", "example", ""].map(isLoopback)).toEqual(
      Array.from({ length: 6 }, () => false),
    );
  });
});
