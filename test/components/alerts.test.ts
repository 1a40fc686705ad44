import { describe, expect, it } from "vitest";

import {
  buildPrometheusRule,
  buildRulesConfigMap,
  NodeExporterAlerts,
} from "../../components/node-exporter-alerts.js";
import type { NodeExporterAlertsArgs } from "../../components/node-exporter-alerts.js";
import { buildAlertRules, runbookUrl } from "../../components/lib/alerts/rules.js";
import { alertsArgs } from "../../infra/component-args.js";
import { parseConfig } from "../../infra/config.js";
import { buildContract } from "../../infra/contract.js";
import { stackConfiguration } from "../../infra/stack-files.js";
import { INSTALLATIONS } from "../support/installations.js";
import { declared } from "../support/recorder.js";

const MARKS = { highPercent: 85, lowPercent: 70 };
const ARGS: NodeExporterAlertsArgs = {
  environment: "test",
  namespace: "system",
  source: { by: "node-exporter", directories: ["/mnt/a.b"] },
  timing: { periodSeconds: 600, startingDeadlineSeconds: 300, activeDeadlineSeconds: 1800 },
  bytes: MARKS,
  inodes: MARKS,
};
const METADATA = { name: "video-storage-alerts", namespace: "system" };

describe("alert rules as an object of the cluster", () => {
  it("are a file in a ConfigMap for a plain Prometheus", () => {
    const { metadata, data } = buildRulesConfigMap(ARGS);
    expect(metadata).toMatchObject(METADATA);
    expect(Object.keys(data)).toEqual(["video-storage.rules.yml"]);
    expect(JSON.parse(data["video-storage.rules.yml"]!)).toEqual(buildAlertRules(ARGS));
  });

  it("are a PrometheusRule for the operator, with the labels that it looks for, which replace none of ours", () => {
    const ruleLabels = { release: "prometheus", "app.kubernetes.io/name": "x" };
    const rule = buildPrometheusRule({ ...ARGS, ruleLabels });
    expect(rule).toMatchObject({
      apiVersion: "monitoring.coreos.com/v1",
      kind: "PrometheusRule",
      metadata: { ...METADATA, labels: { release: "prometheus", "app.kubernetes.io/name": "alerts" } },
      spec: buildAlertRules(ARGS),
    });
    expect(rule.spec.groups.map(({ name }) => name)).toEqual([
      "video-storage-test-volumes",
      "video-storage-test-volumes-trend",
    ]);
  });

  it.each([
    [true, "PrometheusRule", "x-rule"],
    [false, "ConfigMap", "x-rules"],
    [undefined, "ConfigMap", "x-rules"],
  ])("with operator %s are one %s", async (operator, kind, name) => {
    const { resources } = await declared(() => {
      new NodeExporterAlerts("x", { ...ARGS, ...(operator !== undefined && { operator }) });
    });
    const objects = resources.filter(({ type }) => type.startsWith("kubernetes:"));
    expect(objects.map((one) => [one.type.split(":").at(-1), one.name])).toEqual([[kind, name]]);
  });
});

const configOf = (stack: keyof typeof INSTALLATIONS, more: object = {}) =>
  parseConfig(stack, { ...stackConfiguration(stack, INSTALLATIONS[stack]), monitoring: {}, ...more });

describe("what the rules of a stack are made from", () => {
  const of = (...given: Parameters<typeof configOf>) => alertsArgs(configOf(...given));

  it("is the directories of nodes, and the volumes that node-exporter has to see there", () => {
    expect(of("onprem")).toMatchObject({
      source: { by: "node-exporter", directories: ["/mnt/video-jobs"], mountPoints: [] },
      mounts: 12,
      exported: [],
      operator: false,
    });
  });

  it("is the instance stores of a pool", () => {
    expect(of("production")).toMatchObject({
      source: { by: "node-exporter", directories: ["/mnt/video-jobs"] },
      mounts: 96,
      timing: { periodSeconds: 600, startingDeadlineSeconds: 300, activeDeadlineSeconds: 1800 },
      trashSeconds: 3600,
    });
  });

  it("is the claims, where a storage driver mounts them", () => {
    const pools = [{ name: "hot", id: 0, slots: 8, slotsPerNode: 4, nodeSelector: { a: "b" } }];
    expect(of("onprem", { storage: { mode: "topolvm" }, nodes: [], pools })).toMatchObject({
      source: { by: "kubelet", namespace: "video-jobs" },
      mounts: null,
    });
  });

  it("is what else is exported, and by whose operator, where the stack has monitoring", () => {
    const image = `example.test/monitor@sha256:${"0".repeat(64)}`;
    const monitoring = { image, pushgatewayImage: image, operator: true };
    expect(of("onprem", { monitoring })).toMatchObject({
      exported: ["sweep", "exporter", "worker"],
      operator: true,
      objectStorage: {
        required: ["tls-only", "no-public-access", "multipart"],
        janitorPeriodSeconds: 86_400,
      },
    });
    expect(of("onprem", { monitoring, alerts: { operator: false } }).operator).toBe(false);
    expect(of("onprem", { alerts: { operator: true } }).operator).toBe(true);
  });
});

it.each([
  [{}, 2700],
  [{ schedule: "*/5 * * * *", startingDeadline: "1m", activeDeadline: "2m" }, 480],
])("a sweep with %j is overdue for alerts and for the status page after %d seconds", (change, seconds) => {
  const { cleanup } = stackConfiguration("production", INSTALLATIONS.production) as { cleanup: object };
  const config = configOf("production", { cleanup: { ...cleanup, ...change } });
  expect(buildContract(config).cleanup.overdueSeconds).toBe(seconds);
  const { groups } = buildAlertRules({ ...alertsArgs(config), exported: ["sweep", "exporter"] });
  const rules = groups.flatMap((group) => group.rules);
  const { expr } = rules.find(({ alert }) => alert === "VideoStorageSweepStale")!;
  expect(/> (\d+)\)/.exec(expr)?.[1]).toBe(String(seconds));
});

describe("the link to a runbook", () => {
  it("is the anchor of a heading with the alert's name", () => {
    const url = runbookUrl("https://wiki.example/runbooks", "VideoStorageSweepStale");
    expect(url).toBe("https://wiki.example/runbooks#videostoragesweepstale");
    const { groups } = buildAlertRules({ ...ARGS, runbooks: "https://wiki.example/runbooks" });
    expect(groups[0]!.rules[0]!.annotations.runbook_url).toBe(
      "https://wiki.example/runbooks#videostoragevolumefillingup",
    );
  });
});
