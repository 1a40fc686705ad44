import { describe, expect, it } from "vitest";
import {
  InvalidCapabilitiesError,
  LIFECYCLE_RULES,
  OBJECT_STORAGE_CAPABILITIES,
  objectStorageDuties,
  parseObjectStorageCapabilities,
} from "@video-storage/contract/object-storage-capabilities";
import type {
  LifecycleRuleName,
  ObjectStorageCapabilities,
} from "@video-storage/contract/object-storage-capabilities";

const fromList = <K extends string, V>(keys: readonly K[], value: V) =>
  Object.fromEntries(keys.map((key) => [key, value])) as Record<K, V>;

function report(change: Partial<ObjectStorageCapabilities> = {}): ObjectStorageCapabilities {
  return {
    version: 1,
    probedAt: "2026-01-02T03:04:05.678Z",
    endpoint: "https://s3.example.test",
    bucket: "videos",
    capabilities: fromList(OBJECT_STORAGE_CAPABILITIES, { held: true, required: false, detail: "seen" }),
    lifecycle: fromList(LIFECYCLE_RULES, { outcome: "kept" as const, detail: "read back" }),
    ...change,
  };
}

describe("the report of an endpoint's capabilities", () => {
  it("is read as it was written, and by a reader that doesn't know a later field", () => {
    const written = JSON.parse(JSON.stringify({ ...report(), later: 1 })) as unknown;
    expect(parseObjectStorageCapabilities(written)).toEqual(report());
  });

  it("names all that is missing at once, and an unknown version as such", () => {
    const broken = structuredClone(report()) as { capabilities: object; lifecycle: object };
    delete (broken.capabilities as Record<string, unknown>)["encryption"];
    delete (broken.lifecycle as Record<string, unknown>)["abort-unfinished-uploads"];
    expect(() => parseObjectStorageCapabilities(broken)).toThrow(InvalidCapabilitiesError);
    expect(() => parseObjectStorageCapabilities(broken)).toThrow(
      /capabilities\.encryption: .*\n.*lifecycle\.abort-unfinished-uploads: /,
    );
    expect(() => parseObjectStorageCapabilities({ ...report(), version: 2 })).toThrow(/has version 2/);
  });

  it("leaves to the cleanup job what the endpoint doesn't do, and all of it while nothing is known", () => {
    const none = {
      abortUnfinishedUploads: false,
      removeNoncurrentVersions: false,
      removeReleasedObjects: false,
    };
    expect(objectStorageDuties(report())).toEqual(none);
    expect(Object.values(objectStorageDuties(null))).toEqual([true, true, true]);
    const lacking = (rule: LifecycleRuleName, outcome: "dropped" | "altered" | "refused" | "not-declared") =>
      objectStorageDuties(
        report({ lifecycle: { ...report().lifecycle, [rule]: { outcome, detail: "gone" } } }),
      );
    expect(lacking("abort-unfinished-uploads", "dropped")).toEqual({ ...none, abortUnfinishedUploads: true });
    expect(lacking("expire-noncurrent-versions", "altered")).toEqual({
      ...none,
      removeNoncurrentVersions: true,
    });
    expect(lacking("expire-released-objects", "refused")).toEqual({ ...none, removeReleasedObjects: true });
    expect(lacking("transition-cold-objects", "not-declared")).toEqual(none);
  });
});
