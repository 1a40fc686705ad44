import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { startBrowser } from "../../support/browser.js";
import type { TestBrowser, TestPage } from "../../support/browser.js";

/** What draws the page, by itself in a real browser. */

let browser: TestBrowser;
let opened: TestPage;

beforeAll(async () => {
  browser = await startBrowser();
}, 300_000);
afterAll(() => browser?.close());

beforeEach(async () => {
  opened = await browser.newPage();
  const entry = fileURLToPath(new URL("../../../monitor/src/status/page/dom.ts", import.meta.url));
  const { outputFiles } = await build({
    ...{ entryPoints: [entry], bundle: true, write: false, format: "iife", globalName: "dom" },
  });
  await opened.page.addScriptTag({ content: outputFiles[0]!.text });
});
afterEach(() => opened.page.close());

/** Draws lists of items, each `key text`, one after the other, and says what is there after each. */
async function drawn(...lists: (readonly string[])[]): Promise<string[][]> {
  const script = `((lists) => lists.map((list) => {
    dom.render(document.body, list.map((item) => {
      const [key, text] = item.split(" ");
      return dom.h("p", { key }, text);
    }));
    return [...document.body.children].map((element) => element.textContent);
  }))`;
  return (await opened.page.evaluate(`${script}(${JSON.stringify(lists)})`)) as string[][];
}

describe("children of one key", () => {
  it("are all there however often they are drawn", async () => {
    const both = ["full critical", "full warning", "late warned"];
    expect(await drawn(both, both, both.toReversed())).toEqual([
      ["critical", "warning", "warned"],
      ["critical", "warning", "warned"],
      ["warned", "warning", "critical"],
    ]);
  });

  it("go when they are described no more, and no other goes with them", async () => {
    expect(await drawn(["a 1", "a 2", "b 3"], ["a 2", "b 3"], ["b 3", "a 4", "a 5", "a 6"])).toEqual([
      ["1", "2", "3"],
      ["2", "3"],
      ["3", "4", "5", "6"],
    ]);
  });
});
