import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import { RULES } from "../../policies/pack";
import { kubernetes, messages, pod, resource } from "./examples.js";

describe("the pack", () => {
  it("has every rule that has a file, in the folder of its subject", () => {
    const folder = fileURLToPath(new URL("../../policies/rules", import.meta.url));
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
      file.endsWith(".ts"),
    );
    expect(RULES.map(({ subject, name }) => `${subject}/${name}.ts`).sort()).toEqual(files.sort());
  });

  it("has tests for every subject", () => {
    const folder = fileURLToPath(new URL("./rules", import.meta.url));
    const subjects = new Set(RULES.map(({ subject }) => `${subject}.test.ts`));
    expect(readdirSync(folder).sort()).toEqual([...subjects].sort());
  });

  it("doesn't throw over what is missing or of another type than it should be", () => {
    const kinds = [
      "Pod",
      "Deployment",
      "CronJob",
      "PersistentVolumeClaim",
      "StorageClass",
      "ResourceQuota",
      "Role",
    ];
    const more = [
      "RoleBinding",
      "NetworkPolicy",
      "Service",
      "Namespace",
      "ConfigMap",
      "PersistentVolume",
      "Secret",
    ];
    const odd = [
      {},
      { spec: "x", metadata: 1, data: 3, rules: "y" },
      { spec: { template: [] }, metadata: { labels: "x" } },
    ];
    const views = [...kinds, ...more].flatMap((kind) => odd.map((props) => kubernetes("x/v1", kind, props)));
    const cloud = ["s3/bucket:Bucket", "iam/role:Role", "iam/policy:Policy", "kms/key:Key"].flatMap((type) =>
      odd.map((props) => resource(`aws:${type}`, props)),
    );
    expect(RULES.flatMap((rule) => messages(rule, [...views, ...cloud])).length).toBeGreaterThan(50);
  });

  it("says in every message what to do", () => {
    const silent = RULES.flatMap((rule) =>
      messages(rule, [
        pod({}),
        kubernetes("batch/v1", "CronJob", {}),
        kubernetes("core/v1", "PersistentVolumeClaim", {}),
      ]),
    ).filter((message) => !message.includes("; "));
    expect(silent).toEqual([]);
  });
});

describe("docs/policies.md", () => {
  const file = fileURLToPath(new URL("../../docs/policies.md", import.meta.url));
  const text = readFileSync(file, "utf8");

  it("maps what others check to rules that there are", () => {
    const others = text.slice(text.indexOf("## What others check"));
    const named = [...others.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map(([, name]) => name!);
    const names = new Set(RULES.map(({ name }) => name));
    expect(named.filter((name) => !names.has(name))).toEqual([]);
    expect(named.length).toBeGreaterThan(50);
  });
});
