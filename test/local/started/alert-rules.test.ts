import { join } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { DASHBOARD_CONFIG_MAP } from "../../../components/grafana-dashboard.js";
import { ALERTS_CONFIG_MAP, ALERTS_FILE } from "../../../components/lib/alerts/config-map.js";
import type { Dashboard } from "../../../components/lib/dashboard/model.js";
import { buildPrograms } from "../../../local/build/programs.js";
import { run } from "../../../local/command.js";
import { fenced, projectFile } from "../../documents/markdown.js";
import { prometheusOf, until } from "../../support/prometheus.js";
import type { TestPrometheus } from "../../support/prometheus.js";
import { runningEnvironment } from "../../support/running-environment.js";
import type { RunningEnvironment } from "../../support/running-environment.js";

let environment: RunningEnvironment;
let prometheus: TestPrometheus;

beforeAll(async () => {
  environment = await runningEnvironment();
  prometheus = await prometheusOf(environment);
});

describe("the real Prometheus", () => {
  it("has every rule that the stack declares, and evaluates each", async () => {
    const { data } = await environment.core.readNamespacedConfigMap({
      namespace: environment.systemNamespace,
      name: ALERTS_CONFIG_MAP,
    });
    const declared = JSON.parse(data![ALERTS_FILE]!) as {
      groups: { name: string; rules: { alert: string; labels: { severity: string } }[] }[];
    };
    const shown = (groups: { rules: { name: string; labels: Record<string, string> }[] }[]) =>
      groups.flatMap(({ rules }) => rules.map(({ name, labels }) => `${name} ${labels["severity"]}`));
    const loaded = await prometheus.ask<{
      groups: { rules: { name: string; labels: Record<string, string>; health: string }[] }[];
    }>("rules");
    expect(shown(loaded.groups).sort()).toEqual(
      declared.groups
        .flatMap(({ rules }) => rules.map((rule) => `${rule.alert} ${rule.labels.severity}`))
        .sort(),
    );
    const isEvaluated = async () => {
      const { groups } = await prometheus.ask<typeof loaded>("rules");
      const health = new Set(groups.flatMap(({ rules }) => rules.map((rule) => rule.health)));
      return !health.has("unknown") && [...health];
    };
    expect(await until(isEvaluated)).toEqual(["ok"]);
  });

  it("answers every query of the dashboard, and has something to draw in each row", async () => {
    const { data } = await environment.core.readNamespacedConfigMap({
      namespace: environment.systemNamespace,
      name: DASHBOARD_CONFIG_MAP,
    });
    const { panels } = JSON.parse(Object.values(data!)[0]!) as Dashboard;
    const emptyRows = async (): Promise<string[]> => {
      const drawn: Record<string, number> = {};
      let row = "";
      for (const { type, title, targets } of panels) {
        if (type === "row") drawn[(row = title)] = 0;
        for (const { expr } of targets ?? []) {
          const query = expr.replaceAll("$__rate_interval", "1m").replaceAll("$tenant", ".*");
          const { result } = await prometheus.ask<{ result: unknown[] }>("query", { query });
          drawn[row]! += result.length;
        }
      }
      return Object.keys(drawn).filter((title) => drawn[title] === 0);
    };
    // Workers are scraped while there are any, and here there may be none. A Pushgateway that another file has replaced
    // knows the sweeps again after the next.
    const wanted = async () => (await emptyRows()).filter((title) => title !== "Workers");
    await expect.poll(wanted, { timeout: 300_000, interval: 5_000 }).toEqual([]);
  });
});

describe("the runbooks' commands", () => {
  const commands = fenced(projectFile("docs/runbooks.md"), ["sh"])
    .map((block) => block.trim())
    .filter((line) => line.startsWith("kubectl "))
    .map((line) => line.replace("TENANT", "acme"));

  it.each([...new Set(commands)])("%s", async (line) => {
    const { kubernetes } = await buildPrograms(["kubernetes"]);
    const kubeconfig = `--kubeconfig=${join(environment.stateDirectory, "admin.kubeconfig")}`;
    const [kubectl, ...words] = line.split(" ");
    const answer = async (): Promise<[number, string]> => {
      const { code, stderr } = await run(join(kubernetes!, "kubernetes"), [kubectl!, kubeconfig, ...words]);
      return [code, stderr.replace(/^No resources found.*\n$/, "")];
    };
    // A sweep's pod that is being made has no log yet.
    await expect.poll(answer, { timeout: 60_000, interval: 2_000 }).toEqual([0, ""]);
  });
});
