import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import type { ConfigurationError } from "../../policies/configuration";
import { readConfiguration } from "../../policies/configuration";
import { evaluate } from "../../policies/evaluation";
import { DEFAULT_LIMITS } from "../../policies/limits";
import { RULES } from "../../policies/pack";
import { claim, cronJob, pod, podSpec, quota, FULL_QUOTA } from "./examples.js";

const TODAY = new Date("2026-11-22T12:00:00Z");
const read = (file: Record<string, unknown>) => readConfiguration(RULES, file, TODAY);
const problems = (file: Record<string, unknown>): readonly string[] => {
  try {
    read(file);
  } catch (error) {
    return (error as ConfigurationError).problems;
  }
  return [];
};
const exemption = (change: Record<string, unknown> = {}) => ({
  resource: "Pod/jobs/p",
  reason: "it shows the host's disks to the on-call",
  until: "2026-12-31",
  ...change,
});
const onHost = pod(podSpec({ hostPID: true, hostIPC: true }));
const judged = (file: Record<string, unknown>) =>
  evaluate(
    RULES.filter(({ name }) => name === "host-not-shared"),
    [onHost],
    read(file),
    TODAY,
  );

describe("the pack's configuration", () => {
  it("is each rule's own level and the common limits where it says nothing", () => {
    const configuration = read({});
    expect(configuration.size).toBe(RULES.length);
    expect(configuration.get("user-not-root")).toEqual({
      level: "mandatory",
      limits: DEFAULT_LIMITS,
      exemptions: [],
    });
    expect(configuration.get("bucket-logged")!.level).toBe("advisory");
  });

  it("sets the level of all rules, and of one against it", () => {
    const configuration = read({
      all: "advisory",
      "user-not-root": "mandatory",
      "seccomp-set": { enforcementLevel: "disabled" },
      "capabilities-dropped": "remediate",
    });
    const levels = ["root-read-only", "user-not-root", "seccomp-set", "capabilities-dropped"].map(
      (name) => configuration.get(name)!.level,
    );
    expect(levels).toEqual(["advisory", "mandatory", "disabled", "mandatory"]);
  });

  it("sets a limit for one rule and leaves it for others", () => {
    const configuration = read({ "user-not-root": { minimumUser: 1000 } });
    const limits = ["user-not-root", "root-read-only"].map(
      (name) => configuration.get(name)!.limits.minimumUser,
    );
    expect(limits).toEqual([1000, 10_000]);
  });

  it("is refused with all that is wrong with it", () => {
    const file = {
      "no-such-rule": "advisory",
      "seccomp-set": "sometimes",
      "user-not-root": { minimumUser: "low", maximumClaim: "1Gi" },
      "host-not-shared": {
        exemptions: [
          exemption({ reason: "because" }),
          exemption({ until: "2028-01-01", by: "me" }),
          exemption({ resource: "*", until: "soon" }),
        ],
      },
      "claim-bounded": { exemptions: "all" },
    };
    expect(problems(file).map((problem) => problem.replace(/; .*/, ""))).toEqual([
      "no-such-rule: there is no such rule",
      "claim-bounded.exemptions: write a list of {resource, reason, until}",
      "host-not-shared.exemptions[0].reason: say why, in 10 characters or more",
      "host-not-shared.exemptions[1].by: there is no such field",
      "host-not-shared.exemptions[1].until: is more than a year ahead",
      "host-not-shared.exemptions[2].resource: name the resource, by URN, name or Kind/namespace/name",
      "host-not-shared.exemptions[2].until: write the last day, as YYYY-MM-DD",
      'seccomp-set: level is "sometimes"',
      'user-not-root.minimumUser: is "low"',
      "user-not-root.maximumClaim: there is no such setting",
    ]);
  });

  it.each([
    ["claim-bounded", "maximumClaim", "16TiB"],
    ["claim-bounded", "minimumClaim", "0"],
    ["swept-before-full", "fillBytesPerSecond", "64 Mi"],
    ["swept-before-full", "fillBytesPerSecond", "0"],
  ])("is refused where %s.%s is %s, which is no size to compare with", (rule, limit, value) => {
    expect(problems({ [rule]: { [limit]: value } })).toEqual([
      `${rule}.${limit}: is "${value}"; write a size above 0, such as 64Mi`,
    ]);
    expect(problems({ [rule]: { [limit]: "1.5Gi" } })).toEqual([]);
  });

  it("of each environment can be read", () => {
    const folder = fileURLToPath(new URL("../../policies/environments", import.meta.url));
    const files = readdirSync(folder);
    expect(files.sort()).toEqual([
      "dev.json",
      "local.json",
      "onprem.json",
      "production.json",
      "staging.json",
    ]);
    for (const file of files) {
      const text = readFileSync(`${folder}/${file}`, "utf8");
      expect(problems(JSON.parse(text) as Record<string, unknown>)).toEqual([]);
    }
  });

  it("advises in dev and insists in production", () => {
    const level = (name: string): string => {
      const file = fileURLToPath(new URL(`../../policies/environments/${name}.json`, import.meta.url));
      return read(JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>).get("user-not-root")!
        .level;
    };
    expect([level("dev"), level("production")]).toEqual(["advisory", "mandatory"]);
  });
});

describe("an exemption", () => {
  const withExemption = (change: Record<string, unknown>) =>
    judged({ "host-not-shared": { exemptions: [exemption(change)] } });

  it.each([["Pod/jobs/p"], ["Pod/*/p"], [onHost.urn], [onHost.name]])(
    "by %s lets a finding go, and is told of",
    (resource) => {
      const { violations, exempted, unused } = withExemption({ resource });
      expect([violations, exempted.length, unused]).toEqual([[], 2, []]);
      expect(exempted[0]).toEqual({
        rule: "host-not-shared",
        urn: onHost.urn,
        message: "hostPID is true; leave it out",
        reason: "it shows the host's disks to the on-call",
      });
    },
  );

  it("of a part of the message lets that alone go", () => {
    const { violations, exempted } = withExemption({ finding: "hostIPC" });
    expect([violations.map(({ message }) => message), exempted.length]).toEqual([
      ["hostPID is true; leave it out"],
      1,
    ]);
  });

  it("holds through its last day and not longer", () => {
    const messages = (until: string) =>
      withExemption({ until, finding: "hostPID" }).violations.map(({ message }) => message);
    expect(messages("2026-11-22")).toEqual(["hostIPC is true; leave it out"]);
    expect(messages("2026-11-21")).toEqual([
      'hostPID is true; leave it out (the exemption "it shows the host\'s disks to the on-call" ended on 2026-11-21)',
      "hostIPC is true; leave it out",
    ]);
  });

  it("that is about nothing is told of", () => {
    const { violations, unused } = withExemption({ resource: "Pod/jobs/q" });
    expect([violations.length, unused.map(({ exemption: { resource } }) => resource)]).toEqual([
      2,
      ["Pod/jobs/q"],
    ]);
  });

  it("is matched as text, not as a pattern", () => {
    expect(withExemption({ resource: "Pod.jobs.p" }).violations).toHaveLength(2);
  });
});

describe("an evaluation", () => {
  it("says of each finding whose it is and how much it means", () => {
    const { violations } = evaluate(
      RULES,
      [claim({ resources: undefined }), quota(FULL_QUOTA)],
      read({ all: "advisory" }),
      TODAY,
    );
    expect(violations).toContainEqual({
      rule: "claim-bounded",
      level: "advisory",
      severity: "high",
      urn: claim().urn,
      message: "the claim asks for no size; set spec.resources.requests.storage",
    });
  });

  it("leaves a disabled rule out and names those that had nothing to look at", () => {
    const { violations, notApplicable } = evaluate(
      RULES,
      [cronJob({ suspend: true })],
      read({ "cron-job-kept-in-sight": "disabled" }),
      TODAY,
    );
    const names = violations.map(({ rule }) => rule);
    expect(names).not.toContain("cron-job-kept-in-sight");
    expect(notApplicable).toContain("claim-bounded");
    expect(notApplicable).not.toContain("cron-job-bounded");
  });
});
