import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";

import { RULES } from "../../policies/pack";
import { pod, podSpec, ruleNamed } from "./examples.js";

const COMMAND = fileURLToPath(new URL("../../policies/command.ts", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "policy-command-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function write(name: string, ...documents: unknown[]): string {
  const file = join(directory, name);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(
    file,
    documents
      .map((document) => (typeof document === "string" ? document : stringify(document)))
      .join("---\n"),
  );
  return file;
}

function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--import", import.meta.resolve("tsx"), COMMAND, ...args],
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

const manifest = (spec: object) => ({
  apiVersion: "v1",
  kind: "Pod",
  ...(pod(spec as Record<string, unknown>).props as object),
});
const closed = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { ...(pod().props["metadata"] as object), name: "deny" },
  spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
};

describe("npm run policy", () => {
  it("is content with manifests that keep every promise, lists and folders included", async () => {
    write("good/pods/a.yaml", manifest(podSpec()), closed);
    write("good/b.yml", { apiVersion: "v1", kind: "List", items: [manifest(podSpec())] });
    const { code, stdout } = await run(join(directory, "good"));
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^3 objects, \d+ rules: 0 mandatory findings, 0 advisory, 0 exempted\n$/),
    ]);
  });

  it("ends with 1 over a broken promise and says where, what and what to write", async () => {
    const file = write("bad.yaml", manifest(podSpec({ hostPID: true })), closed);
    const { code, stdout } = await run(file);
    expect(code).toBe(1);
    expect(stdout).toContain(
      `mandatory critical host-not-shared\n  ${file}#Pod/jobs/p\n  hostPID is true; leave it out\n`,
    );
    expect(stdout).toContain("1 mandatory findings, 0 advisory");
  });

  it("finds what the API lists without a kind, and what links lead to, once", async () => {
    const { metadata, spec } = manifest(podSpec({ hostPID: true })) as Record<string, unknown>;
    write("listed/pods.yaml", { apiVersion: "v1", kind: "PodList", items: [{ metadata, spec }] }, closed);
    write("elsewhere/linked.yaml", manifest(podSpec({ hostIPC: true })));
    symlinkSync(join(directory, "elsewhere/linked.yaml"), join(directory, "listed/a.yaml"));
    symlinkSync(join(directory, "elsewhere"), join(directory, "listed/folder"));
    symlinkSync(join(directory, "listed"), join(directory, "listed/itself"));
    const { code, stdout } = await run(join(directory, "listed"), "--json");
    const { objects, violations } = JSON.parse(stdout) as {
      objects: number;
      violations: { urn: string; message: string }[];
    };
    expect([code, objects, violations.map(({ urn, message }) => [urn, message])]).toEqual([
      1,
      3,
      [
        [`${join(directory, "listed/a.yaml")}#Pod/jobs/p`, "hostIPC is true; leave it out"],
        [`${join(directory, "listed/pods.yaml")}#Pod/jobs/p`, "hostPID is true; leave it out"],
      ],
    ]);
  });

  it("advises where the environment does, and prints JSON", async () => {
    const file = write("dev.yaml", manifest(podSpec({ hostPID: true })), closed);
    const { code, stdout } = await run(file, "--environment", "dev", "--json");
    const { objects, violations } = JSON.parse(stdout) as {
      objects: number;
      violations: { level: string; rule: string }[];
    };
    expect([code, objects, violations.map(({ level, rule }) => [level, rule])]).toEqual([
      0,
      2,
      [["advisory", "host-not-shared"]],
    ]);
  });

  it("takes exemptions from a file, and says which aren't needed", async () => {
    const file = write("exempt.yaml", manifest(podSpec({ hostPID: true })), closed);
    const until = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    const reason = "the on-call looks at the host";
    const config = write(
      "config.json",
      JSON.stringify({
        "host-not-shared": {
          exemptions: [
            { resource: "Pod/jobs/p", reason, until },
            { resource: "Pod/jobs/q", reason, until },
          ],
        },
      }),
    );
    const { code, stdout } = await run(file, "--config", config);
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining(
        "note: the exemption of Pod/jobs/q from host-not-shared is not needed; remove it",
      ),
    ]);
    expect(stdout).toContain("1 exempted");
  });

  it.each([
    ["nothing to check", [], "Name a file or a folder"],
    ["a file that isn't there", ["/nowhere/x.yaml"], "/nowhere/x.yaml: ENOENT"],
    ["an option that there isn't", ["--fast"], "Unknown option"],
    ["an environment that there isn't", ["x", "--environment", "../x"], "there is no environment ../x"],
  ])("ends with 2 over %s", async (_what, args, message) => {
    const { code, stderr } = await run(...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it("ends with 2 over what is no manifest, and names every such file", async () => {
    write("odd/a.yaml", "a: [");
    write("odd/b.yaml", { name: "values of a chart" });
    const { code, stderr } = await run(join(directory, "odd"));
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/a\.yaml: .*\n.*b\.yaml: document 1 has no apiVersion and kind/),
    ]);
  });

  it("ends with 2 over a folder without manifests, a link that leads nowhere and an alias of nothing", async () => {
    const [empty, odd] = [join(directory, "empty"), join(directory, "odd-files")];
    mkdirSync(empty);
    write("odd-files/alias.yaml", "a: *nothing\n");
    write("odd-files/list.yaml", { apiVersion: "v1", kind: "List", items: [{ metadata: {} }] });
    symlinkSync("/nowhere/x.yaml", join(odd, "link.yaml"));
    const { code, stdout, stderr } = await run(empty, odd);
    const about = (name: string, problem: string) =>
      expect.stringContaining(`${join(odd, name)}: ${problem}`) as string;
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr.trimEnd().split("\n")).toEqual([
      `${empty}: it holds no manifest; name a folder with files that end in .yaml, .yml or .json`,
      about("alias.yaml", "Unresolved alias"),
      about("link.yaml", "ENOENT"),
      about("list.yaml", "item 1 of document 1 has no apiVersion and kind"),
    ]);
  });

  it("lists the rules for programs, with what can be set of each", async () => {
    const { code, stdout } = await run("--list", "--json");
    const rules = JSON.parse(stdout) as { name: string }[];
    expect([code, rules.length, rules.find(({ name }) => name === "key-rotated")]).toEqual([
      0,
      RULES.length,
      {
        name: "key-rotated",
        subject: "buckets",
        level: "mandatory",
        severity: "high",
        description: ruleNamed("key-rotated").description,
        limits: [],
      },
    ]);
  });

  it("lists the rules and teaches its use", async () => {
    const [list, help] = await Promise.all([run("--list"), run("--help")]);
    expect([list.code, list.stdout]).toEqual([
      0,
      expect.stringMatching(/^user-not-root +mandatory +Containers run as/m),
    ]);
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining("usage: npm run policy -- PATH")]);
  });
});
