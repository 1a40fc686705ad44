import { describe, expect, it, vi } from "vitest";

import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import { parseStackContract } from "@video-storage/contract/stack-contract";

import { ConfigError, parseConfig } from "../../infra/config.js";
import { stackConfiguration } from "../../infra/stack-files.js";
import type { INSTALLATIONS } from "../support/installations.js";
import { renderedStack, STACK_NAMES } from "../support/rendered-stacks.js";

// Each rendering is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

/** Keys that a stack's file leaves to the installation. */
const EVERYWHERE = ["context", "tenants", "cleanup.image", "cleanup.migrationsImage", "catalogue.host"];
const ON_AWS = [
  ...EVERYWHERE,
  "storage.preparation",
  "objectStorage.accountId",
  "objectStorage.region",
  "objectStorage.bucket",
  "objectStorage.identity.kind",
  "objectStorage.probeImage",
];
const LEFT_OPEN: Record<keyof typeof INSTALLATIONS, string[]> = {
  dev: ON_AWS,
  staging: ON_AWS,
  production: ON_AWS,
  onprem: [
    ...EVERYWHERE,
    "nodes",
    "storage.preparation.image",
    "storage.preparation.devices",
    "objectStorage.endpoint",
    "objectStorage.bucket",
    "objectStorage.probeImage",
  ],
};

describe.each(Object.entries(LEFT_OPEN))("the file of stack %s", (stack, open) => {
  it("lacks exactly what only an installation knows, and is told so key by key", () => {
    const raw = stackConfiguration(stack);
    const found = (): readonly string[] => {
      try {
        parseConfig(stack, raw);
      } catch (error) {
        if (error instanceof ConfigError) return error.problems.map(({ key }) => key);
        throw error;
      }
      return [];
    };
    expect([...found()].sort()).toEqual([...open].sort());
  });
});

describe.each(STACK_NAMES)("stack %s", (stack) => {
  it("renders, and says to workers and the sweep what they can read", async () => {
    const { manifests, outputs } = await renderedStack(stack);
    const data = (name: string, key: string): unknown => {
      const object = manifests.find(({ id }) => id === `ConfigMap/video-jobs/${name}`)!.object;
      return JSON.parse((object.data as Record<string, string>)[key]!);
    };
    expect(parseStackContract(outputs.contract)).toEqual(outputs.contract);
    expect(data("video-storage-contract", "contract.json")).toEqual(outputs.contract);
    const settings = parseCleanupConfig(data("cleanup-config", "cleanup.json"));
    expect(settings.retention).toEqual(outputs.retention);
    expect(settings.objectStorage).toEqual(outputs.objectStorage);
    const claims = manifests.filter(
      ({ object }) => object.kind === "PersistentVolumeClaim" && object.metadata.namespace === "video-jobs",
    );
    expect(claims.map(({ object }) => object.metadata.name).sort()).toEqual(
      outputs.slots.map(({ claim }) => claim).sort(),
    );
    const expected = { local: 3, dev: 4, staging: 16, production: 96, onprem: 12 };
    expect(outputs.slots).toHaveLength(expected[stack]);
  });
});
