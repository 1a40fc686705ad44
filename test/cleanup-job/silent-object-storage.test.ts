import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startWorld } from "./world.js";
import type { World } from "./world.js";

let world: World;
let silent: Server;

beforeAll(async () => {
  world = await startWorld();
  silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  silent?.close();
  await world?.stop();
});

describe("object storage that takes connections and says nothing", () => {
  it("counts as away: no job after the first ones waits for it, and what needs it not goes on", async () => {
    const volume = await world.newVolume();
    const { port } = silent.address() as AddressInfo;
    volume.configure({
      objectStorage: {
        ...{ endpoint: `http://127.0.0.1:${port}`, region: "local", bucket: "videos", forcePathStyle: true },
        ...{ credentials: "secret", caFile: null },
      },
      janitor: { periodSeconds: 86_400 },
    });
    // Keeps the janitor out of it.
    await volume.catalogue.admin(
      `insert into storage.janitor_runs (bucket, actor) values ('videos', 'test')`,
    );
    for (let count = 0; count < 20; count++) await volume.addJob({ state: "completed", age: 210 });
    const failed = await volume.addJob({ state: "failed", age: 310 });
    const { code, events } = await volume.run("sweep");
    const told = events.filter((event) => event["code"] === "object-storage-away");
    const asked = events.filter(
      ({ event, reason }) => event === "failed" && !String(reason).startsWith("object storage is away"),
    );
    expect([code, told.length, asked.length <= 8]).toEqual([1, 1, true]);
    expect(volume.jobs().filter((job) => job === failed)).toEqual([]);
    expect(volume.jobs().length).toBe(20);
  }, 120_000);
});
