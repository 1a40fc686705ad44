import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AuditEntry, JobDetail, Status, VolumeDetail } from "@video-storage/monitor/status/model";
import { PortTakenError, isAllowedHost, serveStatus } from "@video-storage/monitor/status/server";
import { startPostgres } from "../../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../../support/postgres.js";
import { addHistory, volumeName } from "./history.js";
import { CAPACITY, addDeletions, contractOf, servePageOf } from "./surroundings.js";
import type { Served } from "./surroundings.js";

let postgres: TestPostgres;
let catalogue: TestCatalogue;
let served: Served;
beforeAll(async () => {
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
  await addHistory(catalogue, {
    volumes: 60,
    capacityBytes: CAPACITY,
    sweeps: 8,
    tenants: ["acme", "globex"],
    jobs: 300,
  });
  await addDeletions(catalogue, 30);
  served = await servePageOf(catalogue, contractOf(60));
});
afterAll(async () => {
  await served?.server.close();
  await catalogue?.close();
  await postgres?.stop();
});

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** As a program that sends what it likes, unlike fetch. */
function request(
  path: string,
  { method = "GET", headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = http.request(
      { host: "127.0.0.1", port: served.server.port, path, method, headers },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => (body += text));
        response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
      },
    );
    sent.on("error", reject).end();
  });
}

async function api<T>(path: string): Promise<T> {
  const { status, body } = await request(`/api/v1/${path}`);
  if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
  return JSON.parse(body) as T;
}

async function refused(path: string): Promise<[number, string, string]> {
  const { status, body } = await request(path);
  const { error } = JSON.parse(body) as { error: { code: string; message: string } };
  return [status, error.code, error.message];
}

describe("who may ask", () => {
  it.each([
    ["localhost", true],
    ["localhost:8417", true],
    ["LOCALHOST:1", true],
    ["127.0.0.1:8417", true],
    ["[::1]:8417", true],
    ["status.example:80", true],
    ["evil.example", false],
    ["127.0.0.1.evil.example", false],
    ["localhost.evil.example:8417", false],
    ["10.0.0.1:8417", false],
    ["localhost:8417:1", false],
    ["user@localhost", false],
    ["", false],
    [undefined, false],
  ])("is told by the Host %j: %j", (host, allowed) => {
    expect(isAllowedHost(host, ["status.example"])).toBe(allowed);
  });

  it("is nobody under another name, be it the page or what it shows", async () => {
    for (const path of ["/", "/page.js", "/api/v1/status"]) {
      const { status, body } = await request(path, { headers: { host: "evil.example" } });
      expect([status, (JSON.parse(body) as { error: { code: string } }).error.code]).toEqual([
        421,
        "unknown-host",
      ]);
    }
  });

  it("can change nothing", async () => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const { status, headers } = await request("/api/v1/status", { method });
      expect([status, headers["allow"], headers["access-control-allow-origin"]]).toEqual([
        405,
        "GET, HEAD",
        undefined,
      ]);
    }
  });
});

describe("the page", () => {
  it("comes whole, with a policy under which nothing of another site and no text can run", async () => {
    const { status, headers, body } = await request("/");
    expect([status, headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
    expect(headers["content-security-policy"]).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    );
    expect(headers).toMatchObject({
      ...{ "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" },
      ...{ "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin" },
    });
    expect(body).not.toMatch(/<script(?![^>]*\bsrc=)|\son\w+=|<style|\sstyle=/);
    const addresses = [...body.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, address]) => address);
    expect(addresses.sort()).toEqual(["/icon.svg", "/page.css", "/page.js"]);
    for (const address of addresses) expect((await request(address!)).status).toBe(200);
  });

  it("asks no other host, in any of its files", async () => {
    for (const path of ["/page.js", "/page.css"]) {
      const { body } = await request(path);
      const addresses = [...body.matchAll(/https?:\/\/[^\s"'`)]+/g)].map(([address]) => address);
      expect(addresses.filter((address) => !/github\.com\/leeoniya\/uPlot/.test(address))).toEqual([]);
    }
  });

  it("is not sent again while it is the same", async () => {
    const { headers } = await request("/page.js");
    const again = await request("/page.js", { headers: { "if-none-match": headers["etag"]! } });
    expect([again.status, again.body]).toEqual([304, ""]);
    const other = await request("/page.js", { headers: { "if-none-match": '"other"' } });
    expect(other.status).toBe(200);
  });

  it("answers HEAD without a body", async () => {
    const whole = await request("/api/v1/job?id=00000000-012c-7000-8000-00000005bb8e");
    const { status, headers, body } = await request("/", { method: "HEAD" });
    expect([status, Number(headers["content-length"]) > 0, body]).toEqual([200, true, ""]);
    expect(whole.headers["cache-control"]).toBe("no-store");
  });
});

describe("what it answers", () => {
  it("is a page of the volumes, the fullest first, with their use of a day", async () => {
    const { volumes, statusVersion, level } = await api<Status>("status?pageSize=10&page=2");
    expect([statusVersion, level]).toEqual([1, "attention"]);
    expect(volumes).toMatchObject({
      total: 60,
      matching: 60,
      page: 2,
      pageSize: 10,
      hours: 24,
      highWaterPercent: 85,
    });
    const percents = volumes!.shown.map(({ usedPercent }) => usedPercent!);
    expect(percents).toEqual(percents.toSorted((a, b) => b - a));
    expect(volumes!.shown.every(({ usage }) => usage.length >= 4 && usage.length <= 48)).toBe(true);
  });

  it("has what is searched for", async () => {
    const { volumes } = await api<Status>(`status?search=${volumeName(13)}&sort=name`);
    expect(volumes!.shown.map(({ name }) => name)).toEqual([volumeName(13)]);
    expect((await api<Status>("status?search=nowhere")).volumes).toMatchObject({
      matching: 0,
      shown: [],
      total: 60,
    });
  });

  it("says what is due, of whom, and what of it is shown", async () => {
    const { next, jobs } = await api<Status>("status");
    expect(next!.jobs).toHaveLength(50);
    // All of the history that are older than their times, by state and tenant.
    const [due] = await catalogue.admin(
      `SELECT count(*) FILTER (WHERE state <> 'completed')::int AS deleted, count(*) FILTER (WHERE state = 'completed')::int AS tiered
       FROM storage.jobs WHERE deleted_at IS NULL AND state_changed_at <= now() - make_interval(secs => CASE state
         WHEN 'uploaded' THEN 60 WHEN 'failed' THEN 600 WHEN 'abandoned' THEN 1200 WHEN 'completed' THEN 3600 ELSE 1e9 END)`,
    );
    expect([next!.totals.delete.jobs, next!.totals.tier.jobs]).toEqual([due!["deleted"], due!["tiered"]]);
    expect(jobs).toMatchObject({ jobs: 300, moreTenants: 0 });
    expect(jobs!.tenants.map(({ tenant }) => tenant)).toEqual(["acme", "globex"]);
  });

  it("is one volume with its own history", async () => {
    const name = volumeName(1);
    const detail = await api<VolumeDetail>(`volume?name=${name}&hours=168`);
    expect(detail).toMatchObject({ hours: 168, volume: { name, node: "node-0" } });
    expect(detail.sweeps.every(({ volume }) => volume === name)).toBe(true);
    expect(detail.sweeps).toHaveLength(8);
    expect(detail.audit.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 20 }, (_, i) => 20 - i),
    );
    const earlier = await api<AuditEntry[]>(`audit?volume=${name}&before=3`);
    expect(earlier.map(({ sequence }) => sequence)).toEqual([2, 1]);
  });

  it("is one job, and says so where there is none", async () => {
    const id = "00000000-0008-7000-8000-00000000f778";
    const { job } = await api<JobDetail>(`job?id=${id}`);
    expect(job).toMatchObject({
      job: id,
      tenant: "acme",
      state: "uploaded",
      action: "delete",
      code: "uploaded-expired",
    });
    expect(await api<JobDetail>("job?id=01a20478-d67f-7000-8000-0123456789ab")).toMatchObject({
      job: null,
      history: [],
    });
  });

  it.each([
    ["/nowhere", 404, "not-found"],
    ["/api/v1/nothing", 404, "not-found"],
    ["/../../etc/passwd", 404, "not-found"],
    ["/api/v1/volume?name=nobodys", 404, "no-such-volume"],
    ["/api/v1/job?id=../etc", 400, "bad-parameter"],
    ["/api/v1/status?page=0", 400, "bad-parameter"],
    ["/api/v1/status?page=1e3", 400, "bad-parameter"],
    ["/api/v1/status?pageSize=101", 400, "bad-parameter"],
    ["/api/v1/status?sort=random", 400, "bad-parameter"],
    [`/api/v1/status?search=${"x".repeat(101)}`, 400, "bad-parameter"],
    ["/api/v1/volume?name=a&hours=5", 400, "bad-parameter"],
    ["/api/v1/audit?volume=a&before=-1", 400, "bad-parameter"],
  ])("refuses %s with %d", async (path, status, code) => {
    const [gotStatus, gotCode, message] = await refused(path);
    expect([gotStatus, gotCode]).toEqual([status, code]);
    expect(message).not.toBe("");
  });

  it("says which value was wrong and what is allowed", async () => {
    expect((await refused("/api/v1/status?sort=random"))[2]).toBe(
      'sort is "random"; it must be one of fullness, name, last-sweep.',
    );
  });

  it("holds no password, and no address of the database", async () => {
    const all = await Promise.all(
      [
        "/",
        "/page.js",
        "/api/v1/status",
        `/api/v1/volume?name=${volumeName(0)}`,
        `/api/v1/audit?volume=${volumeName(0)}`,
      ].map((path) => request(path)),
    );
    for (const { body } of all) expect(body).not.toMatch(/-password|postgres:\/\/|BEGIN [A-Z ]*PRIVATE KEY/);
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });
});

describe("when something is away", () => {
  it("answers what was read before, and 503 where it would have to ask", async () => {
    const before = await api<Status>("status");
    await postgres.interrupt();
    try {
      let away = before;
      for (let tries = 0; tries < 100 && away.catalogue.state === "ok"; tries++) {
        away = await api<Status>("status");
        await sleep(100);
      }
      expect([away.catalogue.state, away.level, away.volumes!.total]).toEqual(["unreachable", "failing", 60]);
      const [status, code] = await refused(`/api/v1/audit?volume=${volumeName(0)}`);
      expect([status, code]).toEqual([503, "catalogue-unreachable"]);
    } finally {
      await postgres.resume();
    }
    let back = await api<Status>("status");
    for (let tries = 0; tries < 100 && back.catalogue.state !== "ok"; tries++) {
      await sleep(100);
      back = await api<Status>("status");
    }
    expect(back.catalogue.state).toBe("ok");
    expect(served.defects).toEqual([]);
  });

  it("tells a defect of its own to whoever started it, and little to who asks", async () => {
    const defects: unknown[] = [];
    const broken = new Error("a secret detail");
    const reader = {
      status: () => Promise.reject(broken),
      volume: undefined,
      job: undefined,
      audit: undefined,
    } as never;
    const server = await serveStatus({
      reader,
      files: [],
      host: "127.0.0.1",
      port: 0,
      onDefect: (error) => void defects.push(error),
    });
    try {
      const response = await fetch(`${server.url}api/v1/status`);
      expect([response.status, await response.text()]).toEqual([
        500,
        '{"error":{"code":"defect","message":"Something is wrong with this program; see where it was started."}}\n',
      ]);
      expect(defects).toEqual([broken]);
    } finally {
      await server.close();
    }
  });

  it("says that the port is taken", async () => {
    const port = served.server.port;
    const again = serveStatus({
      reader: {} as never,
      files: [],
      host: "127.0.0.1",
      port,
      onDefect: () => {},
    });
    await expect(again).rejects.toThrow(new PortTakenError("127.0.0.1", port));
  });
});
