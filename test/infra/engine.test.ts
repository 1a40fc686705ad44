import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";

import { findPulumi, preview } from "../../infra/engine.js";
import { unwrapped } from "../../infra/secret-values.js";
import { render } from "../../infra/render.js";
import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { LOCAL_CONFIGURATION, LOCAL_SECRETS } from "../support/local-configuration.js";

const directory = mkdtempSync(join(tmpdir(), "engine-"));

describe("the CLI", () => {
  const folder = (name: string, mode: number): string => {
    const path = join(directory, name);
    mkdirSync(path);
    writeFileSync(join(path, "pulumi"), "#!/bin/sh\n");
    chmodSync(join(path, "pulumi"), mode);
    return path;
  };
  const [plain, runnable, later] = [
    folder("plain", 0o644),
    folder("runnable", 0o755),
    folder("later", 0o755),
  ];
  mkdirSync(join(directory, "folder", "pulumi"), { recursive: true });

  it("is the first program of its name on PATH", () => {
    expect(findPulumi(`${plain}::${join(directory, "folder")}:${runnable}:${later}`)).toBe(
      join(runnable, "pulumi"),
    );
  });

  it("is not a file that can't be run, nor a folder, nor nothing", () => {
    expect(findPulumi(`${plain}:${join(directory, "folder")}:${join(directory, "none")}`)).toBeUndefined();
    expect(findPulumi("")).toBeUndefined();
  });
});

/** What the engine shows for a value that only an `up` will tell, and for a secret. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const SECRET = "[secret]";

interface Declared {
  readonly type: string;
  readonly inputs: Record<string, unknown>;
  readonly parent: string;
}

/** `rendered` with what the engine doesn't know or show in its place. */
function asShown(shown: unknown, rendered: unknown): unknown {
  if (shown === UNKNOWN || shown === SECRET) return shown;
  if (Array.isArray(shown) && Array.isArray(rendered))
    return rendered.map((entry, i) => asShown(shown[i], entry));
  if (typeof shown === "object" && shown !== null && typeof rendered === "object" && rendered !== null) {
    const known = shown as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(rendered).map(([key, value]) => [key, asShown(known[key], value)]),
    );
  }
  return rendered;
}

/** The provider makes `data` of a Secret's `stringData`, and shows neither. */
function withoutContent({ data, stringData, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return rest["kind"] === "Secret"
    ? rest
    : { ...rest, ...(data !== undefined && { data }), ...(stringData !== undefined && { stringData }) };
}

/** Without a cluster the provider doesn't know that these kinds have no namespace, and shows one. */
function withoutGuess(inputs: Record<string, unknown>): Record<string, unknown> {
  if (!String(inputs["kind"]).startsWith("ValidatingAdmissionPolicy")) return inputs;
  const metadata = { ...(inputs["metadata"] as Record<string, unknown>) };
  delete metadata["namespace"];
  return { ...inputs, metadata };
}

/** Whether a Secret's content is unknown as yet, or shown as secret: as a whole, or in each value that isn't a name. */
function isHidden(content: unknown): boolean {
  if (content === UNKNOWN) return true;
  if (typeof content !== "object" || content === null) return false;
  if ("ciphertext" in content) return content.ciphertext === SECRET;
  const names = ["username", "accessKeyId", "root-user"];
  return Object.entries(content).every(([key, value]) => names.includes(key) || isHidden(value));
}

describe.skipIf(findPulumi() === undefined)("the engine (skipped: no pulumi CLI on PATH)", () => {
  const stateDirectory = join(directory, "state");
  const kubeconfig = join(directory, "kubeconfig");
  const policyPack = join(PROJECT_DIRECTORY, "policies");
  const before = readFileSync(join(PROJECT_DIRECTORY, "Pulumi.local.yaml"), "utf8");
  let engine: Map<string, Declared>;
  let mocks: Map<string, Declared>;
  let output = "";

  beforeAll(async () => {
    // A cluster that nobody can reach: a preview needs none.
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "none", cluster: { server: "http://127.0.0.1:1" } }],
        users: [{ name: "none", user: {} }],
        contexts: [{ name: "local", context: { cluster: "none", user: "none" } }],
        "current-context": "local",
      }),
    );
    const options = {
      stack: "local",
      config: LOCAL_CONFIGURATION,
      secretConfig: { ...LOCAL_SECRETS, kubeconfig },
    };
    const { events } = await preview({
      ...options,
      stateDirectory,
      policyPacks: [policyPack],
      policyPackConfigs: [join(policyPack, "environments", "local.json")],
      onOutput: (text) => (output += text),
    });
    const declared = events.flatMap(({ resourcePreEvent }) =>
      resourcePreEvent ? [resourcePreEvent.metadata] : [],
    );
    engine = new Map(
      declared
        // The stack itself, and the engine's own reading of the last deployment.
        .filter(({ type }) => !type.startsWith("pulumi:pulumi:") && type !== "pulumi:providers:pulumi")
        .map(({ urn, type, new: state }) => [urn, { type, inputs: state!.inputs, parent: state!.parent }]),
    );
    const { resources } = await render(options);
    mocks = new Map(
      resources.map(({ urn, type, inputs, parent }) => [urn, { type, inputs: unwrapped(inputs), parent }]),
    );
  }, 240_000);

  it("declares the same resources as the in-process monitor", () => {
    expect([...engine.keys()].sort()).toEqual([...mocks.keys()].sort());
  });

  it("gives each Kubernetes object the same fields", () => {
    const objects = [...engine].filter(([, { type }]) => type.startsWith("kubernetes:"));
    for (const [urn, { inputs }] of objects) {
      const shown = withoutGuess(withoutContent(inputs));
      expect([urn, asShown(shown, withoutContent(mocks.get(urn)!.inputs))]).toEqual([urn, shown]);
    }
    const rendered = [...mocks.values()].filter(({ type }) => type.startsWith("kubernetes:"));
    expect(objects).toHaveLength(rendered.length);
    expect(rendered.length).toBeGreaterThan(50);
  });

  it("hides the content of every Secret", () => {
    const secrets = [...engine.values()].filter(({ type }) => type === "kubernetes:core/v1:Secret");
    const open = secrets.filter(({ inputs }) => !isHidden(inputs["data"] ?? inputs["stringData"]));
    expect(secrets).toHaveLength(17);
    expect(open).toEqual([]);
  });

  it("enforces the policy pack, which the stack passes", () => {
    expect(output).toMatch(/✅ video-storage@v/);
  });

  it("writes to its own directory and not to the repository, and keeps its passphrase to its owner", () => {
    expect(readFileSync(join(PROJECT_DIRECTORY, "Pulumi.local.yaml"), "utf8")).toBe(before);
    expect(statSync(join(stateDirectory, "passphrase")).mode & 0o777).toBe(0o600);
    expect(existsSync(join(stateDirectory, "workspace", "Pulumi.local.yaml"))).toBe(true);
    expect(readFileSync(join(stateDirectory, "workspace", "Pulumi.local.yaml"), "utf8")).not.toContain(
      "hunter2",
    );
  });
});
