import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { expose } from "@video-storage/contract/exposition";
import type { Sample } from "@video-storage/contract/exposition";
import { METRICS } from "@video-storage/contract/metrics";
import { stackScrapes } from "../../local/environment/scrape-configs.js";
import { problemsOfMetrics } from "../support/check-metrics.js";
import { bySeries, scraped } from "../support/scraped.js";

const ALL = Object.values(METRICS);

describe("the registry", () => {
  it("names each metric once, below our prefix, in lower-case words", () => {
    const names = ALL.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => !/^video_storage(?:_[a-z]+)+$/.test(name))).toEqual([]);
  });

  it("keeps to Prometheus' conventions: counters end in _total, and units are base units", () => {
    for (const { name, type } of ALL) expect(name.endsWith("_total")).toBe(type === "counter");
    const other = /_(?:ms|milliseconds|minutes|hours|kb|mb|gb|kib|mib|gib|percent|ratio)(?:_|$)/;
    expect(ALL.filter(({ name }) => other.test(name))).toEqual([]);
  });

  it("has no label that grows with the jobs", () => {
    const labels = new Set<string>(ALL.flatMap((metric) => [...metric.labels]));
    expect([...labels].filter((label) => /job|pod|file|key|sha|path/.test(label))).toEqual([]);
  });

  it("says what each is in a sentence", () => {
    expect(ALL.filter(({ help }) => !/^[A-Z0-9].{10,160}\.$/.test(help))).toEqual([]);
  });
});

describe("samples", () => {
  const one = (metric: Sample["metric"], value: number, labels: Sample["labels"] = {}): Sample => {
    return { metric, value, labels };
  };

  it("are exposed with what is common to all, and promtool has nothing against them", async () => {
    const samples = ALL.filter(({ type }) => type !== "histogram").map((metric) =>
      one(metric, 1.5, Object.fromEntries(metric.labels.map((label) => [label, `of-${label}`]))),
    );
    const text = await expose(samples, { environment: "test" });
    expect(await problemsOfMetrics(text)).toBe("");
    expect(scraped(text)).toHaveLength(samples.length);
    expect(bySeries(scraped(text))).toMatchObject({
      "video_storage_jobs{environment=test,location=of-location,state=of-state,tenant=of-tenant}": 1.5,
      "video_storage_slots{environment=test}": 1.5,
    });
  });

  it("keep what a label says, whatever it is", async () => {
    const volume = 'a "b" \\ c\nd';
    const [series] = scraped(await expose([one(METRICS.slotInfo, 1, { volume })]));
    expect(series).toEqual({ name: METRICS.slotInfo.name, labels: { volume }, value: 1 });
  });

  it.each([
    ["lacks a label", one(METRICS.jobs, 1, { tenant: "a", state: "active" })],
    ["has another's", one(METRICS.slotInfo, 1, { tenant: "a" })],
    ["has one too many", one(METRICS.slots, 1, { volume: "a" })],
  ])("that one %s is an error that names the metric and its labels", async (_what, sample) => {
    await expect(expose([sample])).rejects.toThrow(`${sample.metric.name} has the labels`);
  });

  it("of a histogram have no one value", async () => {
    const sample = one(METRICS.workerWriteDuration, 1, { tenant: "a" });
    await expect(expose([sample])).rejects.toThrow("is a histogram, which has no one value");
  });
});

describe("docs/monitoring.md", () => {
  const text = readFileSync("docs/monitoring.md", "utf8");

  it("tells a Prometheus to scrape what the local environment's does", () => {
    const [, block] = /<!-- scrapes:begin -->\n```yaml\n([^]*?)```/.exec(text)!;
    expect((parse(block!) as { scrape_configs: object[] }).scrape_configs).toEqual(stackScrapes());
  });

  it("names no metric that there isn't", () => {
    const known = new Set<string>(ALL.map(({ name }) => name));
    const named = [...text.matchAll(/video_storage(?:_[a-z]+)+/g)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(ALL.length);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
    const short = [...text.matchAll(/`\.\.\.(_[a-z_]+)`/g)].map(([, suffix]) => suffix!);
    expect(short.length).toBeGreaterThan(0);
    expect(short.filter((suffix) => !ALL.some(({ name }) => name.endsWith(suffix)))).toEqual([]);
  });
});
