import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { beforeAll, describe, expect, it } from "vitest";

import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { askForAudit, readAudit } from "../../local/supply-chain/audit.js";
import { imageContents, imagesOfOurs, packagePaths } from "../../local/supply-chain/bundled-packages.js";
import type { BundledPackage, ImageContents, Lockfile } from "../../local/supply-chain/bundled-packages.js";
import { InvalidLicenceError, isAllowed } from "../../local/supply-chain/licences.js";
import { byLicence, forbidden, reportLines } from "../../local/supply-chain/report.js";
import { sbomOf } from "../../local/supply-chain/sbom.js";
import type { Sbom } from "../../local/supply-chain/sbom.js";
import { projectFile } from "../documents/markdown.js";

const SHA512 = Buffer.alloc(64, 7);

function bundled(name: string, change: Partial<BundledPackage> = {}): BundledPackage {
  return {
    ...{ name, version: "1.2.3", path: `node_modules/${name}`, licence: "MIT", dependencies: [] },
    integrity: `sha512-${SHA512.toString("base64")}`,
    ...change,
  };
}

/** What CycloneDX's own schema, in its strict form, has against a bill; null when nothing. */
function schemaProblems(bill: Sbom): Promise<unknown> {
  return new Validation.JsonStrictValidator(Spec.Version.v1dot5).validate(JSON.stringify(bill));
}

describe("a licence", () => {
  it.each([
    ["MIT", true],
    ["GPL-3.0-only", false],
    ["(MIT OR GPL-3.0-only)", true],
    ["MIT AND GPL-3.0-only", false],
    ["(BSD-3-Clause AND Apache-2.0)", true],
    ["MIT AND (GPL-2.0-only OR ISC)", true],
    ["GPL-2.0-only WITH Classpath-exception-2.0", false],
    ["Apache-2.0 WITH LLVM-exception", true],
  ])("%s is on the list: %s", (expression, allowed) => {
    expect(isAllowed(expression)).toBe(allowed);
  });

  it.each([
    ...["SEE LICENSE IN LICENSE", "", "(MIT", "MIT)", "MIT OR", "AND MIT"],
    ...["MIT WITH", "MIT WITH AND", "(MIT WITH)", "MIT WITH (Classpath-exception-2.0)"],
  ])("%j is none", (expression) => {
    expect(() => isAllowed(expression)).toThrow(InvalidLicenceError);
  });

  it("that is none, or isn't on the list, or isn't stated, keeps a package out of an image", () => {
    expect(
      forbidden([
        bundled("fine"),
        bundled("copyleft", { licence: "AGPL-3.0-only" }),
        bundled("silent", { licence: null }),
        bundled("vague", { licence: "SEE LICENSE IN LICENSE" }),
        bundled("ours", { path: "contract", licence: null, integrity: null }),
        bundled("from-elsewhere", { licence: "AGPL-3.0-only", integrity: null }),
      ]),
    ).toEqual([
      "copyleft@1.2.3: AGPL-3.0-only is not on the list of licences",
      "silent@1.2.3: it states no licence",
      `vague@1.2.3: "SEE LICENSE IN LICENSE" is no SPDX expression: read the package's licence, and say what it is`,
      "from-elsewhere@1.2.3: AGPL-3.0-only is not on the list of licences",
    ]);
  });
});

describe("the files of a bundle", () => {
  it("are of the package that is nearest, or of a workspace", () => {
    expect([
      ...packagePaths([
        "node_modules/pg/lib/index.js",
        "node_modules/@aws-sdk/core/dist/a.js",
        "node_modules/@aws-sdk/core/node_modules/tslib/tslib.js",
        "contract/src/states.ts",
        "node_modules/pg/lib/client.js",
      ]),
    ]).toEqual([
      "node_modules/pg",
      "node_modules/@aws-sdk/core",
      "node_modules/@aws-sdk/core/node_modules/tslib",
      "contract",
    ]);
  });
});

describe("a bill of materials", () => {
  const packages = [
    bundled("@scope/one", { dependencies: ["two", "absent", "@video-storage/contract"] }),
    bundled("two"),
    bundled("two", { version: "2.0.0", path: "node_modules/@scope/one/node_modules/two" }),
    bundled("@video-storage/contract", {
      path: "contract",
      licence: null,
      integrity: null,
      version: "0.1.0",
    }),
  ];
  const bill = sbomOf({ image: "tool", packages, bytes: 1 }, { version: "0.1.0", baseImage: "node:24-slim" });

  it("says of each package its version, its licence and the hash that the lockfile has", () => {
    expect(bill.components[1]).toEqual({
      ...{ type: "library", "bom-ref": "@scope/one@1.2.3", group: "@scope", name: "one", version: "1.2.3" },
      purl: "pkg:npm/%40scope/one@1.2.3",
      hashes: [{ alg: "SHA-512", content: SHA512.toString("hex") }],
      licenses: [{ license: { id: "MIT" } }],
    });
    expect(bill.components[4]).toEqual({
      ...{ type: "library", "bom-ref": "@video-storage/contract@0.1.0", group: "@video-storage" },
      ...{ name: "contract", version: "0.1.0" },
    });
  });

  it("says what asks for what, as Node.js finds it, and leaves out what isn't in the bundle", () => {
    const asked = Object.fromEntries(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    expect(asked["@scope/one@1.2.3"]).toEqual([
      "@video-storage/contract@0.1.0",
      "two@2.0.0 (node_modules/@scope/one/node_modules/two)",
    ]);
    expect(asked["image:tool@0.1.0"]).toHaveLength(5);
  });

  it("is a CycloneDX 1.5 document, which one with a word that the schema doesn't know is not", async () => {
    expect(await schemaProblems(bill)).toBeNull();
    const component = { ...bill.metadata.component, type: "box" } as never;
    expect(JSON.stringify(await schemaProblems({ ...bill, metadata: { component } }))).toContain(
      "/metadata/component/type",
    );
  });

  it("is the same for the same content and another for another", () => {
    const context = { version: "0.1.0", baseImage: "node:24-slim" };
    expect(sbomOf({ image: "tool", packages, bytes: 2 }, context)).toEqual(bill);
    const other = sbomOf({ image: "tool", packages: packages.slice(1), bytes: 1 }, context);
    expect(other.serialNumber).not.toBe(bill.serialNumber);
    expect(bill.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });
});

describe("the cleanup image", () => {
  let contents: ImageContents;
  beforeAll(async () => {
    contents = await imageContents("cleanup-job");
  }, 60_000);

  it("has in its bill what its bundle is really made of, and nothing that only builds or tests it", () => {
    const names = contents.packages.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        "pg",
        "zod",
        "commander",
        "koffi",
        "@aws-sdk/client-s3",
        "@kubernetes/client-node",
      ]),
    );
    expect(names).toEqual(
      expect.arrayContaining(
        ["contract", "worker", "catalogue", "cleanup-job"].map((n) => `@video-storage/${n}`),
      ),
    );
    expect(
      names.filter((name) => /^(typescript|vitest|esbuild|tsx|node-pg-migrate|oxlint)$/.test(name)),
    ).toEqual([]);
    expect(contents.bytes).toBeGreaterThan(1_000_000);
  });

  it("has of each package the version and the hash of the lockfile", () => {
    const { packages } = JSON.parse(projectFile("package-lock.json")) as Lockfile;
    const installed = contents.packages.filter(({ path: place }) => place.includes("node_modules/"));
    const wrong = installed.filter(
      ({ path: place, version, integrity }) =>
        integrity === null ||
        packages[place]?.version !== version ||
        packages[place]?.integrity !== integrity,
    );
    expect(installed.length).toBeGreaterThan(30);
    expect(wrong.map(({ path: place }) => place)).toEqual([]);
  });

  it("has only references that resolve, each once, and only allowed licences, by the schema", async () => {
    const bill = sbomOf(contents, { version: "0.1.0", baseImage: "node:24-slim" });
    const refs = [bill.metadata.component, ...bill.components].map((component) => component["bom-ref"]);
    expect(new Set(refs).size).toBe(refs.length);
    const used = [
      ...bill.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]),
      ...bill.compositions.flatMap(({ assemblies }) => assemblies),
    ];
    expect(used.filter((ref) => !refs.includes(ref))).toEqual([]);
    expect(forbidden(contents.packages)).toEqual([]);
    expect(await schemaProblems(bill)).toBeNull();
  });
});

describe("what npm audit answers", () => {
  it("is counted by severity", () => {
    const vulnerabilities = { info: 0, low: 1, moderate: 0, high: 2, critical: 0, total: 3 };
    const stdout = JSON.stringify({ metadata: { vulnerabilities } });
    expect(readAudit({ code: 1, stdout, stderr: "" })).toEqual({
      kind: "asked",
      bySeverity: { info: 0, low: 1, moderate: 0, high: 2, critical: 0 },
    });
  });

  const refused = (message: string): string => JSON.stringify({ message });

  it.each([
    [refused("405 Method Not Allowed - POST https://registry.test/advisories"), "", "405 Method Not Allowed"],
    [
      refused(
        "request to https://registry.internal/-/npm/v1/security/advisories/bulk failed, reason: getaddrinfo ENOTFOUND registry.internal",
      ),
      "",
      "request to … failed, reason: getaddrinfo ENOTFOUND …",
    ],
    [
      refused(
        "request to http://user:pass@mirror:4873/bulk failed, reason: connect ECONNREFUSED 10.1.2.3:4873",
      ),
      "",
      "request to … failed, reason: connect ECONNREFUSED …",
    ],
    [
      refused("connect ECONNREFUSED ::1:443, asked mirror for audit level 1.2.3"),
      "",
      "connect ECONNREFUSED …, asked mirror for audit level 1.2.3",
    ],
    [
      refused(
        "Hostname/IP does not match certificate's altnames: Host: registry.internal. is not in the cert's altnames: DNS:proxy.internal",
      ),
      "",
      "Hostname/IP does not match certificate's altnames: Host: …. is not in the cert's altnames: DNS:…",
    ],
    ["{}", "", "an answer without a result"],
    ["null", "", "an answer without a result"],
    ["", "npm error code ENOLOCK\nnpm error more", "npm said: npm error code ENOLOCK"],
    ["<html>at proxy.internal</html>", "", "npm said: <html>at …</html>"],
    ["", "", "npm ended with 128 and said nothing"],
  ])("%j is told as unanswered, without a registry's address", (stdout, stderr, reason) => {
    expect(readAudit({ code: 128, stdout, stderr })).toEqual({ kind: "unanswered", reason });
  });

  it("is told as not come when npm can't be started, and by how it ended when it was", async () => {
    const before = process.env["PATH"];
    const programs = await fs.mkdtemp(path.join(os.tmpdir(), "video-storage-npm-"));
    try {
      process.env["PATH"] = programs;
      expect(await askForAudit()).toEqual({ kind: "unanswered", reason: "spawn npm ENOENT" });
      await fs.writeFile(path.join(programs, "npm"), "#!/bin/sh\necho no lockfile >&2; exit 1\n", {
        mode: 0o755,
      });
      expect(await askForAudit()).toEqual({ kind: "unanswered", reason: "npm said: no lockfile" });
    } finally {
      process.env["PATH"] = before;
      await fs.rm(programs, { recursive: true });
    }
  });
});

describe("the report", () => {
  it("says sizes, licences and what may not be there, and the audit", () => {
    const packages = [
      bundled("a"),
      bundled("b", { licence: "ISC" }),
      bundled("c", { licence: "GPL-3.0-only" }),
    ];
    const ours = bundled("ours", { path: "contract", integrity: null });
    expect(byLicence([...packages, bundled("d", { integrity: null }), ours])).toEqual([
      ["MIT", 2],
      ["GPL-3.0-only", 1],
      ["ISC", 1],
    ]);
    const contents = [{ image: "tool", packages, bytes: 1_234_567 }];
    const none = { low: 0, high: 0 };
    expect(
      reportLines(contents, new Map([["tool", 2_500_000]]), { kind: "asked", bySeverity: none }),
    ).toEqual([
      "tool: bundle 1.2 MB of 3 packages (GPL-3.0-only 1, ISC 1, MIT 1); image 2.5 MB with its base",
      "  NOT ALLOWED c@1.2.3: GPL-3.0-only is not on the list of licences",
      "npm audit: no weakness is known in what is deployed",
    ]);
    expect(reportLines([], new Map(), { kind: "asked", bySeverity: { low: 0, high: 2 } })).toEqual([
      "npm audit: 2 high in what is deployed",
    ]);
  });
});

describe("npm run sbom", () => {
  const run = promisify(execFile);
  const sbom = (...args: string[]) =>
    run("node", [...RUNS_TYPESCRIPT, "local/supply-chain/main.ts", ...args], { cwd: PROJECT_DIRECTORY });

  it("writes a bill for an image, and refuses one that there isn't with 2", async () => {
    const out = await fs.mkdtemp(path.join(os.tmpdir(), "video-storage-sbom-"));
    try {
      const { stdout } = await sbom("catalogue", "--out", out, "--json");
      const [printed] = JSON.parse(stdout) as { bomFormat: string }[];
      expect(JSON.parse(await fs.readFile(path.join(out, "catalogue.cdx.json"), "utf8"))).toEqual(printed);
      expect(printed!.bomFormat).toBe("CycloneDX");
    } finally {
      await fs.rm(out, { recursive: true, force: true });
    }
    await expect(sbom("nothing")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`there is no image nothing; there are ${imagesOfOurs().join(", ")}`),
    });
  }, 60_000);
});
