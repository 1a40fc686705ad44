import { globSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { METRICS } from "@video-storage/contract/metrics";

import { buildAlertRules, RUNBOOKS, runbookUrl } from "../../components/lib/alerts/rules.js";
import { PROJECT_DIRECTORY } from "../../infra/stack-files.js";
import { anchors, inBackticks, projectFile, section } from "../documents/markdown.js";
import { STACK } from "./case.js";

const text = projectFile("docs/runbooks.md");
const rules = buildAlertRules(STACK).groups.flatMap((group) => group.rules);
const alerts = [...new Set(rules.map(({ alert }) => alert))];
const headings = [...text.matchAll(/^## (\w+)$/gm)].map((match) => match[1]!);

describe("docs/runbooks.md", () => {
  it("has a section for each alert, and for nothing else", () => {
    expect([...headings].sort()).toEqual([...alerts].sort());
  });

  it("is where the alerts' links lead", () => {
    const known = anchors(text);
    const broken = rules.filter(({ annotations }) => {
      const [path, anchor] = annotations.runbook_url.split("#");
      return path !== "docs/runbooks.md" || !known.has(anchor!);
    });
    expect(broken.map(({ alert }) => alert)).toEqual([]);
    expect(known.has(runbookUrl(RUNBOOKS, "VideoStorageNoSuch").split("#")[1]!)).toBe(false);
  });

  it.each(headings)(
    "begins the section of %s with the command to type, and then says the rest",
    (heading) => {
      const found = section(text, heading).trim();
      expect(found).toMatch(/^```sh\n(kubectl|cleanup-job) [^\n]+\n```\n/);
      const parts = [...found.matchAll(/\*\*(\w[\w ]*)\*\*/g)].map((match) => match[1]!.toLowerCase());
      expect(parts.slice(0, 4)).toEqual(["means", "look", "mend", "may wait"]);
    },
  );

  it("names metrics and alerts that there are", () => {
    const metrics = new Set<string>(Object.values(METRICS).map(({ name }) => name));
    const named = [...text.matchAll(/\bvideo_storage_\w+/g)].map((match) => match[0]);
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((name) => !metrics.has(name))).toEqual([]);
    const others = [...text.matchAll(/\b(?:VideoStorage|NodeFilesystem)[A-Z]\w+/g)].map((match) => match[0]);
    expect(others.filter((name) => !alerts.includes(name))).toEqual([]);
  });

  it("names events and codes that the sweep's source has", () => {
    const source = globSync("{cleanup-job,contract,catalogue}/src/**/*.ts", { cwd: PROJECT_DIRECTORY })
      .map(projectFile)
      .join("\n");
    const codes = [
      "still-full",
      "metrics-not-pushed",
      "object-storage-away",
      "catalogue-doubted",
      "pod-unknown",
    ];
    const inText = inBackticks(text);
    expect(codes.filter((code) => !inText.includes(code))).toEqual([]);
    expect(codes.filter((code) => !source.includes(`"${code}"`))).toEqual([]);
  });
});

describe("an alert", () => {
  it.each(rules.map((rule) => [rule.alert, rule.labels.severity, rule] as const))(
    "%s (%s) says which one and how much, in one line",
    (_alert, _severity, { annotations }) => {
      expect(annotations.summary).toMatch(/\{\{ ?(\$value|\$labels|printf)|prod/);
      expect(annotations.summary).not.toMatch(/\n|\.$/);
      expect(annotations.description).toMatch(/^[A-Z`].*\.$/);
    },
  );
});
