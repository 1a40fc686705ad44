// `npm run bench:status`: what the status page costs over a large catalogue.
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import type { Status, Verification } from "@video-storage/monitor/status/model";

import { startPostgres } from "../test/support/postgres.js";
import type { TestCatalogue } from "../test/support/postgres.js";
import { CAPACITY, cleanupConfig, contractOf } from "../test/monitor/status/surroundings.js";
import { volumeName } from "../test/monitor/status/history.js";
import { Results } from "./lib/bars.js";
import { peakMemoryBytes } from "./lib/memory.js";

const USAGE = `usage: npm run bench:status -- [--volumes 1000] [--jobs 1000000] [--small]

How long the status page's answers take over a catalogue with so many volumes and jobs, half of them deleted with
their two rows of the audit, and a day of sweeps each five minutes. The bars: each answer within a second, the first one
included, and 256 MiB of memory for the program that serves it. With --small everything is a hundredth, which says whether
it runs and nothing about how fast. The proof of the whole audit goes on beside; how long it takes is a figure.
`;

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const SECONDS = 1;
const MEMORY_MIB = 256;
const ROUNDS = 7;

const { values } = parseArgs({
  options: {
    volumes: { type: "string", default: "1000" },
    jobs: { type: "string", default: "1000000" },
    small: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const scale = values.small ? 100 : 1;
const volumes = Number(values.volumes) / scale;
const jobs = Number(values.jobs) / scale;
const results = new Results(values.small ? "status-small" : "status");

const VOLUME = (n: string): string => `'node-' || (${n}) / 4 || '-slot-' || (${n}) % 4`;
// By job number: ten of twenty are deleted; ages from now to a year back.
const JOBS = `
  INSERT INTO storage.jobs (tenant_id, job_id, state, revision, volume, node, namespace, pod, bytes, location,
    created_at, state_changed_at, heartbeat_at, last_access_at, deleted_at)
  SELECT 'tenant-' || n / 20 % 40,
    (lpad(to_hex(n), 12, '0') || '7000' || '8000' || lpad(to_hex(n::bigint * 7919 % 1000003), 12, '0'))::uuid,
    CASE WHEN n % 20 < 13 THEN 'uploaded' WHEN n % 20 < 16 THEN 'completed' WHEN n % 20 < 18 THEN 'failed'
      WHEN n % 200 = 18 THEN 'abandoned' WHEN n % 200 = 19 THEN 'active' ELSE 'failed' END,
    2, ${VOLUME(`n / 20 % ${volumes}`)}, 'node', 'video', 'pod-' || n, n % 1000 * 1000000,
    CASE WHEN n % 20 < 10 THEN 'none' WHEN n % 20 IN (13, 14) THEN 'object' ELSE 'local' END,
    age, age, CASE WHEN n % 400 = 19 THEN now() ELSE age END, age, CASE WHEN n % 20 < 10 THEN age END
  FROM (SELECT n, now() - n * interval '30 s' AS age FROM generate_series(1, ${jobs}) n) g;
  INSERT INTO storage.job_totals
    SELECT tenant_id, location, state, 0, count(*), sum(bytes) FROM storage.jobs WHERE deleted_at IS NULL GROUP BY 1, 2, 3`;
const AUDIT = `
  DO $$
  DECLARE
    last bytea;
    chain text;
    entry storage.audit;
  BEGIN
    FOR chain IN SELECT DISTINCT volume FROM storage.jobs LOOP
      last := decode(repeat('00', 32), 'hex');
      INSERT INTO storage.audit_chains VALUES (chain);
      FOR entry IN
        SELECT chain, row_number() OVER (ORDER BY deleted_at, phase), tenant_id, job_id, phase, 'delete',
          'uploaded for 61s, allowed are 30s', '{}'::jsonb, bytes, 3, 'sweep-pod', 'cleanup', deleted_at, '', '', ''
        FROM storage.jobs, (VALUES ('intent'), ('outcome')) p (phase) WHERE volume = chain AND deleted_at IS NOT NULL
        ORDER BY deleted_at, phase
      LOOP
        entry.payload := storage.audit_payload(entry);
        entry.previous_hash := last;
        entry.hash := sha256(last || convert_to(entry.payload, 'UTF8'));
        last := entry.hash;
        INSERT INTO storage.audit SELECT entry.*;
      END LOOP;
    END LOOP;
  END
  $$`;
const SWEEPS = `
  INSERT INTO storage.sweeps (volume, actor, started_at, finished_at, result, deleted, tiered, kept, failed, freed_bytes,
    usage_bytes, capacity_bytes)
  SELECT ${VOLUME("v")}, 'sweep-pod', t.at, t.at + interval '2 s', 'ok', n % 4, n % 3, 5, 0, n % 4 * 1048576,
    (least(0.995, 0.06 + 0.9 * (v % 10) / 10.0 + 0.18 * abs(sin(n / 9.0 + v))) * ${CAPACITY})::bigint, ${CAPACITY}
  FROM generate_series(0, ${volumes - 1}) v, generate_series(287, 0, -1) n,
    LATERAL (SELECT now() - interval '1 min' - n * interval '5 min' AS at) t`;

const postgres = await startPostgres(
  { shared_buffers: "512MB", max_wal_size: "8GB", maintenance_work_mem: "256MB" },
  tmpdir(),
);
try {
  const catalogue = await postgres.createCatalogue([]);
  await load(catalogue);
  await measure(catalogue);
  await catalogue.close();
} finally {
  await postgres.stop();
}
process.exit(results.finish());

/** As years of workers and sweeps would have left it; the hashes are the real ones, so that the proof has its work. */
async function load(catalogue: TestCatalogue): Promise<void> {
  await catalogue.admin("SET session_replication_role = replica; " + JOBS);
  await catalogue.admin("SET session_replication_role = replica; " + AUDIT);
  await catalogue.admin("SET session_replication_role = replica; " + SWEEPS);
  await catalogue.admin("VACUUM (ANALYZE) storage.jobs, storage.audit, storage.sweeps, storage.job_totals");
}

/** The bundled program as an image has it, serving the page in a process of its own. */
async function serve(
  catalogue: TestCatalogue,
  directory: string,
): Promise<{ url: string; child: ChildProcess }> {
  execFileSync(process.execPath, [here("../monitor/build.mjs"), "--out", `${directory}/app`]);
  const { host, port, database, tls, user, password } = catalogue.settings("auditor");
  const contract = contractOf(volumes, { catalogue: { host, port, database, tls } });
  writeFileSync(`${directory}/contract.json`, JSON.stringify(contract));
  writeFileSync(`${directory}/cleanup.json`, JSON.stringify(cleanupConfig(contract)));
  writeFileSync(`${directory}/username`, user);
  writeFileSync(`${directory}/password`, password as string, { mode: 0o600 });
  const files = ["--contract", `${directory}/contract.json`, "--cleanup-config", `${directory}/cleanup.json`];
  const words = ["status", "--port", "0", ...files, "--catalogue-credentials", directory];
  const child = spawn(process.execPath, [`${directory}/app/monitor.mjs`, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const text of child.stdout) {
    const found = /http:\/\/\S+/.exec(String(text));
    if (found) return { url: found[0], child };
  }
  throw new Error("the program ended before it served the page");
}

async function measure(catalogue: TestCatalogue): Promise<void> {
  const directory = mkdtempSync(`${tmpdir()}/bench-status-`);
  const { url, child } = await serve(catalogue, directory);
  const get = async (path: string, whole: (body: string) => boolean): Promise<number> => {
    const started = performance.now();
    const response = await fetch(url + path);
    const body = await response.text();
    const took = (performance.now() - started) / 1000;
    if (!response.ok || !whole(body)) throw new Error(`${path}: ${response.status} ${body.slice(0, 500)}`);
    return took;
  };
  const read = (body: string): boolean => body.includes('"catalogue":{"state":"ok"');
  const verification = async (): Promise<Verification> =>
    ((await (await fetch(`${url}api/v1/status`)).json()) as Status).audit.verification;
  try {
    // An answer is given in time whether or not the catalogue has answered by then.
    results.bar("first-answer", await get("api/v1/status", () => true), SECONDS, { atMost: 1 });
    const answers: [string, string, (body: string) => boolean][] = [
      ["status", "api/v1/status", read],
      ["status-searched", "api/v1/status?search=slot-3&sort=name&page=3", read],
      ["volume-day", `api/v1/volume?name=${volumeName(7)}&hours=24`, (body) => body.includes('"due":[{')],
      ["volume-month", `api/v1/volume?name=${volumeName(9)}&hours=720`, (body) => body.includes('"due":[{')],
      ["job", "api/v1/job?id=00000000-0014-7000-8000-000000026ab4", (body) => body.includes('"history":[')],
      [
        "audit-page",
        `api/v1/audit?volume=${volumeName(7)}&before=100`,
        (body) => body.includes('"sequence":99'),
      ],
      ["page", "page.js", (body) => body.length > 10_000],
    ];
    for (const [name, path, whole] of answers) {
      const took: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        // Longer than an answer is kept: each round asks the catalogue anew, while the audit is being proven.
        if (path.startsWith("api/v1/status")) await sleep(2_100);
        took.push(await get(path, whole));
      }
      results.figure(`${name}-seconds`, took);
      results.bar(name, Math.max(...took), SECONDS, { atMost: 1 });
    }
    let found = await verification();
    for (; found.finishedAt === null; found = await verification()) await sleep(1_000);
    if (found.state !== "intact") throw new Error(`the audit of the benchmark is ${found.state}`);
    results.figure("audit-rows", found.entries);
    results.figure("audit-proven-seconds", found.seconds);
    results.bar("memory", peakMemoryBytes(child.pid) / 2 ** 20, MEMORY_MIB, { atMost: 1 });
  } finally {
    child.kill("SIGTERM");
    execFileSync("rm", ["-rf", directory]);
  }
}
