import { describe, expect, it } from "vitest";

import { projectFile, tableRows } from "./markdown.js";
import { isDeclared, namedTests } from "./named-tests.js";

const threats = tableRows(projectFile("docs/threat-model.md")).filter((cells) => cells.length === 4);
describe("docs/threat-model.md", () => {
  it("names for each threat a test that there is, by its file and its title", () => {
    expect(threats.length).toBeGreaterThan(40);
    const problems = threats.flatMap(([threat, , , shownBy]) => {
      const tests = namedTests(shownBy!);
      const absent = tests.filter((test) => !isDeclared(test)).map(({ file, title }) => `${file}: ${title}`);
      return tests.length === 0 ? [`${threat}: no test`] : absent;
    });
    expect(problems).toEqual([]);
  });

  it("names outside the tables only tests that there are, too", () => {
    const all = projectFile("docs/threat-model.md").split("## All of it at once")[1]!;
    const named = namedTests(all);
    expect(named).toHaveLength(2);
    expect(named.filter((test) => !isDeclared(test))).toEqual([]);
  });

  it("doesn't take a title that is in no file for a test", () => {
    const [real] = namedTests(threats[0]![3]!);
    expect(isDeclared(real!)).toBe(true);
    expect(isDeclared({ ...real!, title: `${real!.title}, or not` })).toBe(false);
  });

  it("says of each defence in which file it is", () => {
    expect(threats.filter(([, , places]) => !/`[\w./-]+`/.test(places!)).map(([threat]) => threat)).toEqual(
      [],
    );
  });
});
