import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import {
  PrometheusError,
  connectPrometheus,
  readFilesystems,
} from "@video-storage/monitor/status/prometheus";
import { Source } from "@video-storage/monitor/status/source";

describe("a source that is asked by many and is away at times", () => {
  class Away extends Error {}
  const options = (clock: () => number) => ({
    ...{ keepMilliseconds: 1_000, clock },
    problemOf: (error: unknown) => (error instanceof Away ? error.message : undefined),
  });
  /** Answers when it is told to. */
  function asked() {
    const waiting: { resolve: (value: number) => void; reject: (error: Error) => void }[] = [];
    let now = 0;
    const ask = (): Promise<number> =>
      new Promise((resolve, reject) => void waiting.push({ resolve, reject }));
    const source = new Source(
      ask,
      options(() => now),
    );
    return { source, waiting, at: (time: number) => (now = time) };
  }

  it("is asked once for all who ask at once, and again when the answer is old", async () => {
    const { source, waiting, at } = asked();
    const [a, b] = [source.read(Infinity), source.read(Infinity)];
    waiting[0]!.resolve(7);
    expect(await a).toEqual({ value: 7, ageMilliseconds: 0, state: "ok", problem: null });
    expect(await b).toEqual(await a);
    at(999);
    expect(await source.read(Infinity)).toMatchObject({ value: 7, ageMilliseconds: 999, state: "ok" });
    at(1_000);
    const c = source.read(Infinity);
    waiting[1]!.resolve(8);
    expect(await c).toMatchObject({ value: 8, ageMilliseconds: 0 });
    expect(waiting).toHaveLength(2);
  });

  it("is waited for so long, then what it said before counts", async () => {
    const { source, waiting, at } = asked();
    expect(await source.read(0)).toEqual({
      value: undefined,
      ageMilliseconds: 0,
      state: "waiting",
      problem: null,
    });
    waiting[0]!.resolve(7);
    expect(await source.read(Infinity)).toMatchObject({ value: 7, state: "ok" });
    at(5_000);
    expect(await source.read(1)).toEqual({
      value: 7,
      ageMilliseconds: 5_000,
      state: "waiting",
      problem: null,
    });
    expect(waiting).toHaveLength(2);
  });

  it("keeps what it said while it is away, and says why", async () => {
    const { source, waiting, at } = asked();
    const first = source.read(Infinity);
    waiting[0]!.resolve(7);
    await first;
    at(1_000);
    const second = source.read(Infinity);
    waiting[1]!.reject(new Away("no answer"));
    expect(await second).toEqual({
      value: 7,
      ageMilliseconds: 1_000,
      state: "unreachable",
      problem: "no answer",
    });
    at(2_000);
    const third = source.read(Infinity);
    waiting[2]!.resolve(8);
    expect(await third).toMatchObject({ value: 8, state: "ok", problem: null });
  });

  it("doesn't take a defect for an outage", async () => {
    const { source, waiting } = asked();
    const reading = source.read(Infinity);
    waiting[0]!.reject(new TypeError("a defect"));
    await expect(reading).rejects.toThrow(new TypeError("a defect"));
  });
});

describe("Prometheus", () => {
  const servers: http.Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close().closeAllConnections();
  });

  async function answering(answer: http.RequestListener): Promise<string> {
    const server = http.createServer(answer);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it("is asked for the filesystems of slots only", async () => {
    const asked: string[] = [];
    const url = await answering((request, response) => {
      asked.push(new URL(request.url!, "http://x").searchParams.get("query")!);
      response.end(
        JSON.stringify({
          status: "success",
          data: { resultType: "vector", result: [{ metric: { a: "b" }, value: [1.5, "2e3"] }] },
        }),
      );
    });
    const { sizeBytes } = await readFilesystems(connectPrometheus(`${url}/`));
    expect(sizeBytes).toEqual([{ labels: { a: "b" }, at: 1.5, value: 2000 }]);
    expect(asked.sort()).toEqual(
      ["avail_bytes", "files_free", "files", "free_bytes", "size_bytes"].map(
        (name) => `node_filesystem_${name}{mountpoint=~".+/slot-[0-9]+",fstype!="tmpfs"}`,
      ),
    );
  });

  it.each<[string, http.RequestListener, RegExp]>([
    ["refuses", (_, response) => response.writeHead(401).end("{}"), /can't be asked: it answered 401$/],
    ["says no JSON", (_, response) => response.end("<html>"), /can't be asked: .*JSON/],
    [
      "is something else",
      (_, response) => response.end('{"status":"success","data":{}}'),
      /what answers at .* is not a Prometheus$/,
    ],
    [
      "leads elsewhere",
      (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
      /can't be asked: /,
    ],
    [
      "never ends",
      (_, response) => {
        const write = (): void =>
          void response.write("x".repeat(1 << 20), (error) => error ?? setImmediate(write));
        write();
      },
      /can't be asked: its answer is larger than 8388608 bytes$/,
    ],
    ["never answers", () => {}, /can't be asked: no answer in 2 s$/],
  ])("that %s is an outage with its reason", async (_, answer, reason) => {
    const prometheus = connectPrometheus(await answering(answer));
    const asked = prometheus.query("up");
    await expect(asked).rejects.toThrow(PrometheusError);
    await expect(asked).rejects.toThrow(reason);
  });

  it("that isn't there is one too", async () => {
    await expect(connectPrometheus("http://127.0.0.1:1").alertingRules()).rejects.toThrow(
      "Prometheus at http://127.0.0.1:1 can't be asked: ",
    );
  });
});
