import { beforeAll, describe, expect, it } from "vitest";

import type { Status } from "@video-storage/monitor/status/model";

import { local, startLocal } from "../../support/local-environment.js";
import { runningEnvironment } from "../../support/running-environment.js";
import type { RunningEnvironment } from "../../support/running-environment.js";

let environment: RunningEnvironment;

beforeAll(async () => {
  environment = await runningEnvironment();
});

/** npm's own lines are not among what is printed, as the program is run without npm. */
function statusIn(output: string): Status {
  return JSON.parse(output.slice(output.indexOf("{"), output.lastIndexOf("}") + 1)) as Status;
}

describe("npm run status", () => {
  it("shows the cluster's volumes as the sweeps and the real Prometheus have them", async () => {
    const { code, output } = await local("status", environment.name, "--json");
    const status = statusIn(output);
    expect([code, status.level === "ok"]).toEqual([status.level === "ok" ? 0 : 1, code === 0]);
    expect(status).toMatchObject({
      ...{
        environment: environment.contract.environment,
        catalogue: { state: "ok" },
        prometheus: { state: "ok" },
      },
      next: { schedule: environment.contract.cleanup.schedule, rulesFrom: "cleanup-config" },
    });
    const slots = environment.contract.slots.map(({ name }) => name).sort();
    expect(status.volumes!.shown.map(({ name }) => name).sort()).toEqual(slots);
    for (const { measuredBy, usedBytes, capacityBytes } of status.volumes!.shown) {
      expect(measuredBy).toBe("prometheus");
      expect(usedBytes).toBeLessThanOrEqual(capacityBytes!);
    }
    expect(status.alerts!.rules).toBeGreaterThan(0);
    expect(status.audit.verification.state).toBe("intact");
    expect(output).not.toMatch(/password/i);
  });

  it("serves the page with the auditor's login until it is interrupted, and ends with 0", async () => {
    const page = startLocal("status", environment.name, "--port", "8461");
    let answer: Response | undefined;
    for (let tries = 0; tries < 120 && !answer; tries++) {
      answer = await fetch("http://127.0.0.1:8461/api/v1/status").catch(() => undefined);
      if (!answer) await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(answer?.status).toBe(200);
    page.kill("SIGINT");
    const { code, output } = await page.ended;
    expect([code, output.trim().split("\n").at(-1)]).toEqual([0, "Stopped."]);
  });
});
