import type { EncryptionSettings } from "@video-storage/contract/node-agent-config";
import { LABELS, slotState } from "@video-storage/node-agent/signature";
import {
  annotationPatch,
  claimUser,
  decide,
  decideVanished,
  mayMake,
  offerPatch,
} from "@video-storage/node-agent/decisions";
import type { Volume } from "@video-storage/node-agent/decisions";
import { passphrase } from "@video-storage/node-agent/keys";
import { parseMounts } from "@video-storage/node-agent/mounts";
import { planPartitions, usableRoom } from "@video-storage/node-agent/partition-plan";
import { parseProbe } from "@video-storage/node-agent/probe";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const NOW = new Date("2026-01-01T12:00:00Z");
const volume = (changes: Partial<Volume> = {}): Volume => ({
  name: "v0",
  uid: "uid-v0",
  phase: "Released",
  labels: { "video-storage/node": "node-a" },
  annotations: { "video-storage/on-release": "wipe", "video-storage/content": "old" },
  storageClass: "fast",
  path: "/mnt/slot-0",
  claim: { namespace: "jobs", name: "c", uid: "uid-c" },
  deleting: false,
  phaseSince: new Date("2026-01-01T11:59:00Z"),
  ...changes,
});

describe("a volume of this node", () => {
  it.each([
    ["released", {}, "old", { do: "wipe", claimUid: "uid-c" }],
    ["released, its slot not ready", {}, undefined, { do: "wipe", claimUid: "uid-c" }],
    ["bound, with what it had", { phase: "Bound" }, "old", { do: "nothing" }],
    ["bound, with something else", { phase: "Bound" }, "new", { do: "lost" }],
    ["bound, its slot not ready", { phase: "Bound" }, undefined, { do: "lost" }],
    ["bound, seen for the first time", { phase: "Bound", annotations: {} }, "new", { do: "record" }],
    ["available, wiped since", { phase: "Available" }, "new", { do: "record" }],
    ["available", { phase: "Available" }, "old", { do: "nothing" }],
    [
      "released, to be kept",
      { annotations: { "video-storage/on-release": "keep" } },
      "old",
      { do: "nothing" },
    ],
    ["released, without a word", { annotations: {} }, "old", { do: "nothing" }],
    ["released by nobody", { claim: undefined }, "old", { do: "nothing" }],
    ["being deleted", { deleting: true }, "old", { do: "nothing" }],
    ["failed", { phase: "Failed" }, "old", { do: "nothing" }],
    ["pending", { phase: "Pending" }, "old", { do: "nothing" }],
  ] as const)("that is %s", (_, changes, content, expected) => {
    expect(decide(volume(changes), content, 0, NOW)).toMatchObject(expected);
  });

  it("is wiped only when it is released, said to be wiped, and long enough so, whatever else holds", () => {
    const phases = fc.constantFrom("Bound", "Available", "Released", "Pending", "Failed", "");
    const words = fc.constantFrom("wipe", "keep", "", "Wipe", undefined);
    fc.assert(
      fc.property(
        phases,
        words,
        fc.integer({ min: 0, max: 200 }),
        fc.boolean(),
        (phase, word, delay, deleting) => {
          const annotations = word === undefined ? {} : { "video-storage/on-release": word };
          const decision = decide(volume({ phase, annotations, deleting }), "old", delay, NOW);
          const wanted = phase === "Released" && word === "wipe" && !deleting && delay <= 60;
          expect(decision.do === "wipe").toBe(wanted);
        },
      ),
    );
  });

  it("lets a blank slot be made unless that would hide a loss", () => {
    expect(mayMake(undefined)).toBe(true);
    expect(mayMake(volume({ phase: "Available" }))).toBe(true);
    expect(mayMake(volume())).toBe(true);
    expect(mayMake(volume({ phase: "Bound" }))).toBe(false);
    expect(mayMake(volume({ phase: "Bound", annotations: {} }))).toBe(true);
    const kept = { "video-storage/on-release": "keep", "video-storage/content": "old" };
    expect(mayMake(volume({ annotations: kept }))).toBe(false);
  });
});

describe("offering a volume", () => {
  it("holds only for this volume and the claim that released it", () => {
    expect(offerPatch(volume(), "uid-c", "new").slice(0, 3)).toEqual([
      { op: "test", path: "/metadata/uid", value: "uid-v0" },
      { op: "test", path: "/spec/claimRef/uid", value: "uid-c" },
      { op: "add", path: "/metadata/annotations/video-storage~1content", value: "new" },
    ]);
  });

  it("keeps it for the claim that it was declared for, and gives it to that one again where another had it", () => {
    const reserved = { ...volume().annotations, "video-storage/reserved-for": "jobs/c" };
    expect(offerPatch(volume({ annotations: reserved }), "uid-c", "new").slice(3)).toEqual([
      { op: "remove", path: "/spec/claimRef/uid" },
      { op: "add", path: "/spec/claimRef/resourceVersion", value: "" },
      { op: "remove", path: "/spec/claimRef/resourceVersion" },
    ]);
    const other = { ...reserved, "video-storage/reserved-for": "jobs/d" };
    expect(offerPatch(volume({ annotations: other }), "uid-c", "new").slice(3)).toEqual([
      {
        op: "add",
        path: "/spec/claimRef",
        value: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace: "jobs", name: "d" },
      },
    ]);
  });

  it("takes the claim away where any may have it, and what the controller left", () => {
    const annotations = { ...volume().annotations, "pv.kubernetes.io/bound-by-controller": "yes" };
    expect(offerPatch(volume({ annotations }), "uid-c", "new").slice(3)).toEqual([
      { op: "remove", path: "/metadata/annotations/pv.kubernetes.io~1bound-by-controller" },
      { op: "remove", path: "/spec/claimRef" },
    ]);
  });

  it("makes the annotations where there are none", () => {
    expect(annotationPatch(volume({ annotations: {} }), "a/b", "x").slice(1)).toEqual([
      { op: "add", path: "/metadata/annotations", value: {} },
      { op: "add", path: "/metadata/annotations/a~1b", value: "x" },
    ]);
  });
});

describe("a volume that an agent made", () => {
  const since = (time: string) => ({ ...volume().annotations, "video-storage/node-missing-since": time });
  const settings = { graceSeconds: 600, claims: "delete" } as const;
  const here = new Set(["node-a"]);
  const elsewhere = new Set(["node-b"]);

  it.each([
    ["on a node that is there", {}, here, { do: "nothing" }],
    ["on a node that came back", { annotations: since("2026-01-01T10:00:00Z") }, here, { do: "note-back" }],
    ["on a node that is missed for the first time", {}, elsewhere, { do: "note-missing" }],
    ["within the grace", { annotations: since("2026-01-01T11:55:00Z") }, elsewhere, { do: "nothing" }],
    ["after the grace", { annotations: since("2026-01-01T11:50:00Z") }, elsewhere, { do: "delete-volume" }],
    [
      "after the grace, bound",
      { phase: "Bound", annotations: since("2026-01-01T11:50:00Z") },
      elsewhere,
      { do: "delete-claim" },
    ],
    ["missed at a time that can't be read", { annotations: since("soon") }, elsewhere, { do: "nothing" }],
    [
      "missed at a time to come",
      { annotations: since("2026-01-02T00:00:00Z") },
      elsewhere,
      { do: "nothing" },
    ],
    [
      "where no node is there at all",
      { annotations: since("2026-01-01T10:00:00Z") },
      new Set<string>(),
      { do: "nothing" },
    ],
    [
      "whose content is gone, bound",
      { phase: "Bound", annotations: { "video-storage/lost": "x" } },
      here,
      { do: "delete-claim" },
    ],
  ] as const)("%s", (_, changes, nodes, expected) => {
    expect(decideVanished(volume(changes), nodes, settings, NOW)).toEqual(expected);
  });

  it("that is bound is only reported where claims are to be kept", () => {
    const bound = volume({ phase: "Bound", annotations: since("2026-01-01T10:00:00Z") });
    expect(decideVanished(bound, elsewhere, { ...settings, claims: "keep" }, NOW)).toEqual({ do: "report" });
  });
});

describe("the user that a claim names", () => {
  it("is a plain user's number or nobody", () => {
    expect(["21000", "1000", "65535"].map(claimUser)).toEqual([21_000, 1000, 65_535]);
    expect(["0", "999", "65536", "-1", "1e4", "root", "", " 2000", undefined].map(claimUser)).toEqual(
      Array.from({ length: 9 }, () => undefined),
    );
  });
});

describe("the state of a slot", () => {
  const luks: EncryptionSettings = { kind: "luks", key: { kind: "files", files: ["/key"] } };
  const plain: EncryptionSettings = { kind: "none" };
  const subsystem = { SUBSYSTEM: "video-storage" };
  it.each([
    ["nothing", plain, {}, "blank"],
    ["its partition's entry alone", plain, { PART_ENTRY_NAME: "slot-0" }, "blank"],
    ["ready", plain, { TYPE: "ext4", LABEL: LABELS.ready, UUID: "u" }, "ready"],
    ["being made", plain, { TYPE: "ext4", LABEL: LABELS.making }, "unfinished"],
    ["being wiped", plain, { TYPE: "ext4", LABEL: LABELS.wiping }, "unfinished"],
    ["somebody's", plain, { TYPE: "ext4", LABEL: "data" }, "foreign"],
    ["somebody's without a label", plain, { TYPE: "xfs" }, "foreign"],
    ["several things", plain, { AMBIVALENT: "1" }, "foreign"],
    ["a partition table", plain, { PTTYPE: "dos" }, "foreign"],
    ["ready, in another filesystem", plain, { TYPE: "xfs", LABEL: LABELS.ready }, "foreign"],
    ["ready, not encrypted as it should be", luks, { TYPE: "ext4", LABEL: LABELS.ready }, "foreign"],
    [
      "ready and encrypted",
      luks,
      { TYPE: "crypto_LUKS", LABEL: LABELS.ready, UUID: "u", ...subsystem },
      "ready",
    ],
    ["a header of somebody's with our label", luks, { TYPE: "crypto_LUKS", LABEL: LABELS.ready }, "foreign"],
    ["a header being made", luks, { TYPE: "crypto_LUKS", LABEL: LABELS.making, ...subsystem }, "unfinished"],
  ] as const)("that has %s", (_, encryption, found, expected) => {
    expect(slotState(encryption, "ext4", found).kind).toBe(expected);
  });

  it("has labels that every filesystem has room for", () => {
    expect(Math.max(...Object.values(LABELS).map((label) => label.length))).toBeLessThanOrEqual(12);
  });
});

describe("partitions", () => {
  const MEBIBYTE = 2 ** 20;
  const slots = fc.array(fc.integer({ min: 16, max: 500 }), { maxLength: 12 }).map((sizes) =>
    sizes.map((size, index) => ({
      name: `slot-${index}`,
      bytes: size * MEBIBYTE,
      user: 1,
      group: 1,
      mode: "750",
    })),
  );
  it("lie apart, on a MiB, within their disk, each of its size, and none is forgotten", () => {
    const disks = fc.array(fc.integer({ min: 3, max: 2000 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(slots, disks, fc.constantFrom(0, 16 * MEBIBYTE), (wanted, sizes, overhead) => {
        const rooms = sizes.map((size, index) => usableRoom(`/dev/${index}`, size * MEBIBYTE));
        const { make, without } = planPartitions(wanted, rooms, overhead);
        for (const [device, partitions] of make) {
          let end = MEBIBYTE;
          for (const { slot, startBytes, bytes } of partitions) {
            expect(startBytes).toBeGreaterThanOrEqual(end);
            expect(startBytes % MEBIBYTE).toBe(0);
            expect(bytes).toBe(slot.bytes + overhead);
            end = startBytes + bytes;
          }
          expect(end).toBeLessThanOrEqual(rooms.find((room) => room.device === device)!.endBytes);
        }
        const placed = [...make.values()].flat().map(({ slot }) => slot.name);
        expect([...placed, ...without.map(({ name }) => name)].sort()).toEqual(
          wanted.map(({ name }) => name).sort(),
        );
      }),
    );
  });
});

describe("passphrases", () => {
  it("are 64 bytes, the same for the same header, and others for another header or secret", () => {
    const [one, two] = [Buffer.alloc(64, 1), Buffer.alloc(64, 2)];
    const first = passphrase(one, "0b5e");
    expect(first).toHaveLength(64);
    expect(passphrase(one, "0B5E").equals(first)).toBe(true);
    expect(passphrase(one, "0b5f").equals(first)).toBe(false);
    expect(passphrase(two, "0b5e").equals(first)).toBe(false);
  });
});

describe("what programs print", () => {
  it("is read with blanks and signs of equality in it", () => {
    expect(parseProbe("DEVNAME=/dev/x\nLABEL=a\\ b=c\nTYPE=ext4\n")).toEqual({
      DEVNAME: "/dev/x",
      LABEL: "a b=c",
      TYPE: "ext4",
    });
    expect(parseProbe("")).toEqual({});
  });

  it("of mounts, is read with blanks in paths, the last mount of a place counting", () => {
    const text = [
      "22 1 254:0 / /mnt/a\\040b rw,relatime shared:1 - ext4 /dev/vda rw",
      "23 1 0:40 / /mnt/a\\040b rw,noexec - tmpfs video-storage rw",
      "",
    ].join("\n");
    expect([...parseMounts(text)]).toEqual([
      ["/mnt/a b", { target: "/mnt/a b", type: "tmpfs", source: "video-storage", options: ["rw", "noexec"] }],
    ]);
  });
});
