import { describe, expect, it } from "vitest";

import { lifecycleRules } from "../../components/lib/object-lifecycle.js";
import { inBackticks, projectFile, section, tableRows } from "./markdown.js";
import { isDeclared, namedTests } from "./named-tests.js";

const text = projectFile("docs/encryption-and-compliance.md");
const audit = new Map(
  tableRows(text.split("<!-- audit:begin -->")[1]!.split("<!-- audit:end -->")[0]!).flatMap(
    ([fields, meaning]) => inBackticks(fields!).map((field) => [field, meaning!] as const),
  ),
);
const migration = (name: string): string => projectFile(`catalogue/migrations/${name}`);

describe("docs/encryption-and-compliance.md", () => {
  it("names for each control a test that there is", () => {
    const controls = tableRows(section(text, "Controls"));
    expect(controls.length).toBeGreaterThan(25);
    const problems = controls.flatMap(([control, , evidence]) => {
      const tests = namedTests(evidence!);
      return tests.length === 0
        ? [`${control}: no test`]
        : tests.filter((test) => !isDeclared(test)).map(({ file, title }) => `${file}: ${title}`);
    });
    expect(problems).toEqual([]);
  });

  it("has the fields of the audit's rows, all that is hashed", () => {
    const payload = /CREATE FUNCTION storage\.audit_payload[^]*?\$\$([^]*?)\$\$/.exec(
      migration("0001_catalogue.sql"),
    )![1]!;
    const hashed = [...payload.matchAll(/'(\w+)', entry\./g)].map((match) => match[1]!);
    expect([...audit.keys()].sort()).toEqual(hashed.sort());
  });

  it("has the actions and phases that a row may have", () => {
    const allowed = (column: string, file: string): string[] =>
      [
        ...new RegExp(`CHECK \\(${column} IN \\(([^)]*)\\)\\)`)
          .exec(migration(file))![1]!
          .matchAll(/'([a-z-]+)'/g),
      ].map((match) => match[1]!);
    expect(inBackticks(audit.get("action")!)).toEqual(allowed("action", "0005_packs_and_janitor.sql"));
    expect(inBackticks(audit.get("phase")!)).toEqual(allowed("phase", "0001_catalogue.sql"));
  });

  it("has the cipher, the times and the days of the code", () => {
    const agent = projectFile("node-agent/src/encryption.ts");
    const [, cipher, bits] = /"--cipher", "([^"]+)", "--key-size", "(\d+)"/.exec(agent)!;
    expect(text).toContain(`\`${cipher}\`, ${bits} bit`);
    const [, age] = /minimum_age interval NOT NULL DEFAULT '([^']+)'/.exec(
      migration("0007_audit_archives.sql"),
    )!;
    expect(text).toContain(`\`archive_policy.minimum_age\` (${age})`);
    const days = lifecycleRules({}).find((rule) => rule.NoncurrentVersionExpiration)!;
    expect(text).toContain(`${days.NoncurrentVersionExpiration!.NoncurrentDays} days (\`noncurrentExpiry\``);
    const window = /deletionWindowInDays: (\d+)/.exec(projectFile("components/lib/aws-bucket.ts"))![1];
    expect(text).toContain(`a deletion waits ${window} days`);
  });
});
