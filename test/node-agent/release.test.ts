import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import type { NodeAgentConfig } from "@video-storage/contract/node-agent-config";
import { buildLocalVolume } from "@video-storage/node-agent/volume-object";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { run } from "../../local/command.js";
import { NodeMachine, noLoopDevices, slotSettings } from "../support/node-machine.js";
import { random } from "../support/random.js";
import { isPlayed, rounds, seed } from "../support/rounds.js";
import { VolumeApi } from "../support/volume-api.js";

// Each step is a process or several, and the machine may be busy.
vi.setConfig({ testTimeout: 120_000 });

const SECRET = "PREVIOUS-TENANTS-VIDEO";
const reason = noLoopDevices();
const CLAIM = { namespace: "jobs", name: "worker-0" };

const SEED = seed("AGENT_KILL_SEED");
const ROUNDS = rounds("AGENT_KILL_ROUNDS", 25);

describe.skipIf(reason !== undefined)(`released volumes${reason ? ` (${reason})` : ""}`, () => {
  let node: NodeMachine;
  let api: VolumeApi;
  let backing: string;
  beforeEach(async () => {
    node = await NodeMachine.start();
    api = new VolumeApi();
    await api.start(node.path("kubeconfig"));
    api.addNode("node-0");
    backing = node.path("files/slot-0.img");
  }, 300_000);
  afterEach(async () => {
    await api.stop();
    await node.close();
  });

  const MEDIA = ["a file", "a plain disk", "an encrypted disk"] as const;
  async function settingsOf(medium: (typeof MEDIA)[number]): Promise<NodeAgentConfig> {
    if (medium === "a file") return slotSettings(node, { slots: 1 });
    const disk = await node.disk("a", 60);
    backing = disk.file;
    writeFileSync(node.path("key"), Buffer.alloc(64, 7));
    return slotSettings(node, {
      slots: 1,
      medium: { kind: "devices", patterns: [disk.device] },
      ...(medium === "an encrypted disk" && {
        encryption: { kind: "luks", key: { kind: "files", files: [node.path("key")] } },
      }),
    });
  }

  const target = () => node.path("mnt/video-jobs/slot-0");
  const slot = (...parts: string[]) => node.outside(node.path("mnt/video-jobs/slot-0", ...parts));
  const once = (config: NodeAgentConfig) =>
    node.agent(["run", "--once", "--kubeconfig", node.path("kubeconfig")], config);
  const volume = () => api.volumes.get("v0")!;
  const phase = () => volume().status!.phase;

  function declareVolume(claim: typeof CLAIM | null = CLAIM): void {
    api.addVolume({
      ...buildLocalVolume({
        name: "v0",
        labels: {},
        className: "local-ssd",
        node: "node-0",
        path: target(),
        bytes: 2n ** 25n,
        claim,
        onRelease: "wipe",
      }),
      status: { phase: "Available" },
    });
  }

  /** A volume whose claim has been deleted, with what it left behind. */
  async function releasedVolume(config: NodeAgentConfig, claim: typeof CLAIM | null = CLAIM) {
    declareVolume(claim);
    const first = await once(config);
    expect(first.code, JSON.stringify(first)).toBe(0);
    api.bind("v0", CLAIM);
    writeFileSync(slot("video"), SECRET.repeat(50_000));
    await node.must("sync", ["--file-system", target()]);
    api.release("v0");
  }

  it.each(MEDIA)(
    "on %s are wiped, verified and offered again to the claim of the same name",
    async (medium) => {
      const config = await settingsOf(medium);
      await releasedVolume(config);
      const before = volume().metadata!.annotations!["video-storage/content"];
      const { code, events } = await once(config);
      expect({ code, events: events.map(({ event }) => event) }).toEqual({
        code: 0,
        events: ["wiping", "offered"],
      });
      expect(phase()).toBe("Available");
      expect(volume().spec!.claimRef).toEqual({ apiVersion: "v1", kind: "PersistentVolumeClaim", ...CLAIM });
      expect(volume().metadata!.annotations!["video-storage/content"]).not.toBe(before);
      expect(readdirSync(slot())).toEqual([]);
      await node.must("sync", ["--file-system", target()]);
      expect(readFileSync(backing).includes(SECRET)).toBe(false);
    },
  );

  it("that are for any claim are offered to any", async () => {
    const config = await settingsOf("a file");
    await releasedVolume(config, null);
    expect((await once(config)).code).toBe(0);
    expect(phase()).toBe("Available");
    expect(volume().spec).not.toHaveProperty("claimRef");
  });

  it("change in nothing that an engine declared, but for the claim's uid", async () => {
    const config = await settingsOf("a file");
    declareVolume();
    const declaredSpec = structuredClone(volume().spec);
    await once(config);
    api.bind("v0", CLAIM);
    api.release("v0");
    await once(config);
    expect(volume().spec).toEqual(declaredSpec);
    const { annotations, labels } = volume().metadata!;
    expect(Object.keys(annotations!).sort()).toEqual([
      "video-storage/content",
      "video-storage/on-release",
      "video-storage/reserved-for",
    ]);
    expect(labels).toEqual({ "video-storage/node": "node-0", "video-storage/slot": "slot-0" });
  });

  it("are not touched when the volume is to be kept, being deleted, of another class, in another place, or bound", async () => {
    const config = await settingsOf("a file");
    await releasedVolume(config);
    const released = structuredClone(volume());
    const arrangements: [what: string, arrange: () => unknown][] = [
      ["to be kept", () => (volume().metadata!.annotations!["video-storage/on-release"] = "keep")],
      ["being deleted", () => (volume().metadata!.deletionTimestamp = new Date())],
      ["of another class", () => (volume().spec!.storageClassName = "other")],
      ["in another place", () => (volume().spec!.local!.path = "/somewhere/slot-0")],
      ["bound", () => api.bind("v0", CLAIM)],
    ];
    for (const [what, arrange] of arrangements) {
      api.volumes.set("v0", structuredClone(released));
      arrange();
      const started = node.started().length;
      const before = phase();
      await once(config);
      expect([what, phase()]).toEqual([what, before]);
      expect([what, readFileSync(slot("video"), "utf8").startsWith(SECRET)]).toEqual([what, true]);
      const programs = node
        .started()
        .slice(started)
        .map(({ program }) => program);
      expect([what, programs.filter((program) => !["losetup", "blkid"].includes(program))]).toEqual([
        what,
        [],
      ]);
    }
    // That alone has kept it.
    api.release("v0");
    await once(config);
    expect([phase(), existsSync(slot("video"))]).toEqual(["Available", false]);
  });

  it("are left as they are until the delay has passed", async () => {
    const config = await settingsOf("a file");
    await releasedVolume(config);
    const patient = { ...config, volumes: { ...config.volumes!, wipeDelaySeconds: 3600 } };
    await once(patient);
    expect({ phase: phase(), kept: existsSync(slot("video")) }).toEqual({ phase: "Released", kept: true });
    volume().status!.lastPhaseTransitionTime = new Date(Date.now() - 3_601_000);
    await once(patient);
    expect({ phase: phase(), kept: existsSync(slot("video")) }).toEqual({ phase: "Available", kept: false });
  });

  it("are not touched while a mount of a pod's is still there, and are mounted as they were", async () => {
    const config = await settingsOf("a plain disk");
    await releasedVolume(config);
    // As the kubelet does it, in a mount namespace that the agent doesn't see.
    await node.must("mkdir", ["-p", node.path("mnt/pod")]);
    await node.must("mount", ["--bind", target(), node.path("mnt/pod")]);
    const { code, events } = await once(config);
    expect(code).toBe(1);
    expect(events.at(-1)).toMatchObject({ event: "refused", of: "slot-0" });
    expect(events.at(-1)!["reason"]).toMatch(/ is in use; it is left as it is$/);
    expect(phase()).toBe("Released");
    expect(readFileSync(slot("video"), "utf8").startsWith(SECRET)).toBe(true);
    await node.must("umount", [node.path("mnt/pod")]);
    await once(config);
    expect({ phase: phase(), left: readdirSync(slot()) }).toEqual({ phase: "Available", left: [] });
  });

  it("say so when what a claim had is gone, and offer nothing in its place", async () => {
    const config = await settingsOf("a file");
    declareVolume();
    await once(config);
    api.bind("v0", CLAIM);
    await node.boot();
    await run("rm", [backing]);
    const { code, events } = await once(config);
    expect(code).toBe(1);
    expect(events.at(-1)!["reason"]).toMatch(
      /^what claim jobs.worker-0 had on it is gone: delete the claim to accept the loss$/,
    );
    expect(existsSync(slot())).toBe(false);
    expect(api.nodes.get("node-0")!.metadata!.annotations!["video-storage/problems"]).toMatch(/^slot-0: /);
    // The claim is deleted: the loss is accepted.
    api.release("v0");
    expect((await once(config)).code).toBe(0);
    expect({ phase: phase(), there: existsSync(slot()) }).toEqual({ phase: "Available", there: true });
    expect(api.nodes.get("node-0")!.metadata!.annotations).toEqual({});
  });

  it("label the node with what was made and how it is encrypted", async () => {
    const config = await settingsOf("an encrypted disk");
    declareVolume();
    await once(config);
    expect(api.nodes.get("node-0")!.metadata!.labels).toEqual({
      "kubernetes.io/hostname": "node-0",
      "video-storage/prepared": "true",
      "video-storage/slots": "1",
      "video-storage/medium": "devices",
      "video-storage/encryption": "luks",
    });
  });

  it("are opened by a key that no program's argument and no word of the agent shows", async () => {
    const config = await settingsOf("an encrypted disk");
    declareVolume();
    const { events, stderr } = await once(config);
    const key = Buffer.alloc(64, 7);
    const shown = JSON.stringify([node.started(), events]) + stderr;
    for (const form of [key.toString("hex"), key.toString("base64"), key.toString("latin1")]) {
      expect(shown).not.toContain(form);
    }
    const cryptsetup = node.started().filter(({ program }) => program === "cryptsetup");
    expect(cryptsetup.map(({ args }) => args[0])).toEqual(["luksFormat", "open", "config"]);
    expect(cryptsetup.slice(0, 2).every(({ args }) => args.join(" ").includes("--key-file -"))).toBe(true);
    // With another key nothing is made anew: what is there is somebody's.
    await node.boot();
    writeFileSync(node.path("key"), Buffer.alloc(64, 8));
    const other = await once(config);
    expect(other.code).toBe(1);
    expect(other.events.at(-1)!["reason"]).toMatch(/^none of the 1 keys opens .*; it is not made anew$/);
    expect(node.started().filter(({ args }) => args[0] === "luksFormat")).toHaveLength(1);
    // The old key beside the new one opens it again.
    writeFileSync(node.path("old-key"), key);
    const both = {
      ...config,
      encryption: {
        kind: "luks" as const,
        key: { kind: "files" as const, files: [node.path("key"), node.path("old-key")] },
      },
    };
    expect((await once(both)).code).toBe(0);
  });

  it("are offered by an agent that runs, within seconds of their release, and that ends when it is asked to", async () => {
    const config = await settingsOf("a file");
    await releasedVolume(config);
    api.bind("v0", CLAIM);
    const agent = node.startAgent(["run", "--kubeconfig", node.path("kubeconfig")], config);
    while (!existsSync(node.outside(node.path("mnt/work/ready")))) await sleep(20);
    api.release("v0");
    while (phase() !== "Available") await sleep(20);
    expect(readdirSync(slot())).toEqual([]);
    agent.child.kill("SIGTERM");
    expect(await agent.ended).toBe(0);
    expect(agent.events.map(({ event }) => event)).toEqual(["wiping", "offered"]);
  });

  it("wait for Kubernetes: what is ready is mounted, nothing is wiped", async () => {
    const config = await settingsOf("a file");
    await releasedVolume(config);
    api.refusals.set("/api/v1/persistentvolumes/v0", 503);
    const { code, stderr } = await once(config);
    expect(code).toBe(3);
    expect(stderr).toContain("Kubernetes answers 503 about PersistentVolume v0: refused");
    expect({ phase: phase(), kept: existsSync(slot("video")) }).toEqual({ phase: "Released", kept: true });
  });

  describe("as the agent makes them", () => {
    const own = (config: NodeAgentConfig): NodeAgentConfig => ({
      ...config,
      volumes: { storageClass: "local-ssd", owner: "agent", pool: "hot", wipeDelaySeconds: 0 },
    });

    it("are made for every slot, given to the user of the claim, and offered again to any", async () => {
      const config = own(slotSettings(node));
      await once(config);
      expect([...api.volumes.keys()]).toEqual(["local-ssd-node-0-slot-0", "local-ssd-node-0-slot-1"]);
      const made = api.volumes.get("local-ssd-node-0-slot-0")!;
      expect(made.metadata!.labels).toMatchObject({
        "video-storage/pool": "hot",
        "video-storage/node": "node-0",
      });
      expect(made.spec!.capacity).toEqual({ storage: "32Mi" });
      api.bind("local-ssd-node-0-slot-0", CLAIM);
      api.claims.get("jobs/worker-0")!.metadata!.annotations = { "video-storage/run-as-user": "21077" };
      await once(config);
      const owner = await node.must("stat", ["-c", "%u:%g %a", target()]);
      expect(owner.trim()).toBe("21077:20000 2750");
      await node.boot();
      await once(config);
      expect((await node.must("stat", ["-c", "%u", target()])).trim()).toBe("21077");
      api.release("local-ssd-node-0-slot-0");
      await once(config);
      expect(api.volumes.get("local-ssd-node-0-slot-0")!.spec).not.toHaveProperty("claimRef");
      expect((await node.must("stat", ["-c", "%u", target()])).trim()).toBe("21000");
    });
  });

  // Whatever happens, an offered volume is a clean one; and whatever happened, the next agent gets there.
  it.each(MEDIA.filter((_, number) => isPlayed(number, MEDIA.length, SEED)))(
    `on %s survive an agent that is killed anywhere (AGENT_KILL_SEED=${SEED}, ${ROUNDS} rounds)`,
    async (medium) => {
      const next = random(SEED + MEDIA.indexOf(medium));
      const below = (limit: number): number => Math.floor(next() * limit);
      const config = await settingsOf(medium);
      declareVolume();
      await once(config);
      for (let round = 0; round < ROUNDS; round++) {
        api.bind("v0", CLAIM);
        writeFileSync(slot("video"), `${SECRET}-${round}`.repeat(1000));
        api.release("v0");
        for (let kills = 1 + below(3); kills > 0 && phase() === "Released"; kills--) {
          const when = below(2) === 0 ? "before" : "after";
          const byRequest = below(4) === 0;
          const agent = node.startAgent(
            ["run", "--once", "--kubeconfig", node.path("kubeconfig")],
            config,
            byRequest ? undefined : { at: 1 + below(medium === "an encrypted disk" ? 26 : 20), when },
          );
          const last = api.requests.length + 1 + below(6);
          api.onRequest = (then, number) => {
            if (byRequest && then === when && number === last) agent.child.kill("SIGKILL");
          };
          await agent.ended;
          api.onRequest = () => {};
          if (phase() === "Available") expect(readdirSync(slot())).toEqual([]);
          if (below(3) === 0) await node.boot();
        }
        const { code, stderr, events } = await once(config);
        const said = `round ${round} of seed ${SEED}: ${stderr} ${JSON.stringify(events)}`;
        expect({ code, phase: phase(), left: readdirSync(slot()) }, said).toEqual({
          code: 0,
          phase: "Available",
          left: [],
        });
      }
      await node.must("sync", ["--file-system", target()]);
      expect(readFileSync(backing).includes(SECRET)).toBe(false);
    },
    600_000,
  );
});
