import { describe, expect, it } from "vitest";
import type { SweptVolume } from "@video-storage/catalogue/status-queries";
import type { PressurePolicy } from "@video-storage/contract/cleanup-config";
import type { StackContract } from "@video-storage/contract/stack-contract";
import type { Volume } from "@video-storage/monitor/status/model";
import { filesystemsOf, findSeries } from "@video-storage/monitor/status/prometheus";
import type { FilesystemSamples, Sample, Slot } from "@video-storage/monitor/status/prometheus";
import { pageOf, volumesOf, volumesPart } from "@video-storage/monitor/status/volumes";
import type { VolumeFacts } from "@video-storage/monitor/status/volumes";
import { stackContract } from "../../support/documents.js";

const NOW = Date.parse("2026-03-04T05:00:00.000Z") / 1000;
const PRESSURE: PressurePolicy = {
  bytes: { highWaterPercent: 80, lowWaterPercent: 50 },
  inodes: { highWaterPercent: 90, lowWaterPercent: 60 },
  unuploaded: "keep",
  floor: { seconds: 0, bytes: 0 },
  tenantFloors: {},
};

function slot(name: string, node: string | null): StackContract["slots"][number] {
  return { ...stackContract().slots[0]!, name, node, capacityBytes: 1000 };
}

function swept(volume: string, change: Partial<SweptVolume> = {}): SweptVolume {
  return {
    ...{ id: 1, volume, actor: "sweep", result: "ok", deleted: 1, tiered: 0, kept: 2, failed: 0 },
    startedAt: new Date((NOW - 61) * 1000),
    finishedAt: new Date((NOW - 60) * 1000),
    ...{ freedBytes: 5, usageBytes: 400, capacityBytes: 1000, unfinishedSince: null },
    ...change,
  };
}

function facts(change: Partial<VolumeFacts> = {}): VolumeFacts {
  return {
    slots: [slot("node-0-slot-0", "node-0")],
    swept: [swept("node-0-slot-0")],
    filesystems: undefined,
    ...{ pressure: PRESSURE, overdueSeconds: 2700, now: NOW },
    ...change,
  };
}

const conditionOf = (change: Partial<VolumeFacts>): string => volumesOf(facts(change))[0]!.condition;

describe("the condition of a volume", () => {
  it("is what its last sweep and its use say", () => {
    expect(conditionOf({})).toBe("ok");
    expect(conditionOf({ swept: [] })).toBe("never-swept");
    expect(conditionOf({ swept: [swept("node-0-slot-0", { result: "partial", failed: 1 })] })).toBe(
      "sweep-failed",
    );
    expect(conditionOf({ slots: [] })).toBe("undeclared");
    expect(conditionOf({ swept: [swept("node-0-slot-0", { usageBytes: 799 })] })).toBe("ok");
    expect(conditionOf({ swept: [swept("node-0-slot-0", { usageBytes: 800 })] })).toBe("still-full");
    expect(conditionOf({ pressure: undefined, swept: [swept("node-0-slot-0", { usageBytes: 999 })] })).toBe(
      "ok",
    );
  });

  it("is overdue when an alert would be due, and never where that isn't known", () => {
    const at = (seconds: number) => [
      swept("node-0-slot-0", { finishedAt: new Date((NOW - seconds) * 1000) }),
    ];
    expect(conditionOf({ swept: at(2700) })).toBe("ok");
    expect(conditionOf({ swept: at(2701) })).toBe("sweep-late");
    expect(conditionOf({ swept: at(99_999), overdueSeconds: undefined })).toBe("ok");
  });

  it("tells a volume that filled up since from one that a sweep left full", () => {
    const filesystem = { usedBytes: 850, capacityBytes: 1000, inodesUsedPercent: null, at: NOW };
    const filesystems = new Map([["node-0-slot-0", filesystem]]);
    const [volume] = volumesOf(facts({ filesystems }));
    expect(volume).toMatchObject({
      condition: "over-high-mark",
      usedBytes: 850,
      usedPercent: 85,
      measuredBy: "prometheus",
    });
  });

  it("is unfinished beside what the last whole sweep said", () => {
    const since = new Date((NOW - 5) * 1000);
    const [volume] = volumesOf(facts({ swept: [swept("node-0-slot-0", { unfinishedSince: since })] }));
    expect(volume).toMatchObject({ condition: "ok", unfinishedSince: "2026-03-04T04:59:55.000Z" });
  });

  it("is known of a volume whose first sweep was killed", () => {
    const [volume] = volumesOf(
      facts({ swept: [{ volume: "node-0-slot-0", unfinishedSince: new Date(NOW * 1000) }] }),
    );
    expect(volume).toMatchObject({
      condition: "never-swept",
      usedBytes: null,
      lastSweep: null,
      capacityBytes: 1000,
    });
  });
});

function sample(labels: Record<string, string>, value: number): Sample {
  return {
    labels: { mountpoint: "/mnt/video-jobs/slot-0", instance: "10.0.0.1:9100", ...labels },
    at: NOW,
    value,
  };
}

function samples({ size = 0, free = 0, available = 0, files = 0, filesFree = 0 }): FilesystemSamples {
  return {
    ...{
      sizeBytes: [sample({}, size)],
      freeBytes: [sample({}, free)],
      availableBytes: [sample({}, available)],
    },
    ...{ files: [sample({}, files)], filesFree: [sample({}, filesFree)] },
  };
}

describe("what node-exporter measures of a volume", () => {
  const one: Slot[] = [slot("node-0-slot-0", "node-0"), slot("node-0-slot-10", "node-0")];
  const two: Slot[] = [...one, slot("node-1-slot-0", "node-1")];
  const valuesOf = (slots: readonly Slot[], ...series: Sample[]): (number | undefined)[] =>
    slots.map((each) => findSeries(series, slots)(each)?.value);

  it("is found by its mount point where the stack has one node", () => {
    const found = [sample({}, 1), sample({ mountpoint: "/mnt/video-jobs/slot-10" }, 2)];
    expect(valuesOf(one, ...found, sample({ mountpoint: "/boot" }, 3))).toEqual([1, 2]);
    // Two could be meant.
    expect(valuesOf(one, ...found, sample({ mountpoint: "/var/other/slot-0" }, 4))).toEqual([undefined, 2]);
  });

  it("is found by its node where there are several, by whichever label names it", () => {
    expect(valuesOf(two, sample({ node: "node-0" }, 1), sample({ instance: "node-1:9100" }, 2))).toEqual([
      ...[1, undefined, 2],
    ]);
    expect(valuesOf(two, sample({}, 1))).toEqual([undefined, undefined, undefined]);
    // The node's name counts even where there is one node only.
    expect(valuesOf(one, sample({ node: "node-0" }, 1), sample({ node: "node-9" }, 2))).toEqual([
      1,
      undefined,
    ]);
  });

  it("isn't guessed where the storage decides about the node", () => {
    expect(valuesOf([slot("pool-slot-0", null)], sample({}, 1))).toEqual([undefined]);
  });

  it("comes to use and inodes as an unprivileged writer has them, which a filesystem may not limit", () => {
    // A fiftieth of an ext4 is reserved: neither used nor to be had.
    const measured = samples({ size: 1000, free: 270, available: 250, files: 200, filesFree: 50 });
    expect(filesystemsOf(one, measured)).toEqual(
      new Map([["node-0-slot-0", { usedBytes: 730, capacityBytes: 980, inodesUsedPercent: 75, at: NOW }]]),
    );
    const unlimited = samples({ size: 1000, free: 1000, available: 1000 });
    expect(filesystemsOf(one, unlimited).get("node-0-slot-0")).toMatchObject({
      usedBytes: 0,
      inodesUsedPercent: null,
    });
    expect(filesystemsOf(one, { ...measured, freeBytes: [] })).toEqual(new Map());
  });
});

describe("a page of volumes", () => {
  const volumes = ["node-10-slot-0", "node-2-slot-0", "node-2-slot-1"].map((name, index) => {
    const at = new Date((NOW - 100 - index) * 1000);
    const row = swept(name, { usageBytes: 100 * (index + 1), finishedAt: at });
    return volumesOf(
      facts({
        slots: [{ ...slot(name, "n"), tenant: index === 1 ? ("acme" as never) : null }],
        swept: [row],
      }),
    )[0]!;
  });
  const names = (query: Partial<Parameters<typeof pageOf>[1]>): string[] =>
    pageOf(volumes, { search: "", sort: "fullness", page: 1, pageSize: 10, ...query }).volumes.map(
      ({ name }) => name,
    );

  it("is ordered by fullness, by name as people count, or by the last sweep", () => {
    expect(names({})).toEqual(["node-2-slot-1", "node-2-slot-0", "node-10-slot-0"]);
    expect(names({ sort: "name" })).toEqual(["node-2-slot-0", "node-2-slot-1", "node-10-slot-0"]);
    expect(names({ sort: "last-sweep" })).toEqual(["node-2-slot-1", "node-2-slot-0", "node-10-slot-0"]);
  });

  it("has what the search finds in names, nodes and tenants", () => {
    expect(names({ search: " NODE-2 " })).toEqual(["node-2-slot-1", "node-2-slot-0"]);
    expect(names({ search: "acm" })).toEqual(["node-2-slot-0"]);
    expect(names({ search: "nothing" })).toEqual([]);
  });

  it("is the last one where there is none so far on", () => {
    const page = (number: number) => pageOf(volumes, { search: "", sort: "name", page: number, pageSize: 2 });
    expect(
      [page(1), page(2), page(99)].map((each) => [each.page, each.volumes.length, each.matching]),
    ).toEqual([
      ...[
        [1, 2, 3],
        [2, 1, 3],
        [2, 1, 3],
      ],
    ]);
    expect(pageOf([], { search: "", sort: "name", page: 3, pageSize: 2 })).toMatchObject({
      page: 1,
      volumes: [],
      matching: 0,
    });
  });

  it("carries totals of all volumes and the use of those shown", () => {
    const page = pageOf(volumes, { search: "slot-1", sort: "name", page: 1, pageSize: 10 });
    const usage = [
      { volume: "node-2-slot-1", at: 10, usageBytes: 7 },
      { volume: "node-2-slot-0", at: 10, usageBytes: 8 },
    ];
    const part = volumesPart(volumes, page, usage, { hours: 24, highWaterPercent: 80 });
    expect(part).toMatchObject({
      total: 3,
      usedBytes: 600,
      capacityBytes: 3000,
      conditions: { ok: 3 },
      matching: 1,
    });
    expect(part.shown.map(({ name, usage: of }: Volume & { usage: unknown }) => [name, of])).toEqual([
      ["node-2-slot-1", [[10, 7]]],
    ]);
  });
});
