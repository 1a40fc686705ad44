import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Page } from "playwright-core";
import type { Alert, Problem, Status } from "@video-storage/monitor/status/model";
import { startBrowser } from "../../support/browser.js";
import type { TestBrowser, TestPage } from "../../support/browser.js";
import { startPostgres } from "../../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../../support/postgres.js";
import { addHistory, volumeName } from "./history.js";
import { DRAWN, FOCUSABLE, FOCUSED, SHIFTS, TOO_LITTLE_CONTRAST, TOO_WIDE } from "./in-page.js";
import { CAPACITY, addDeletions, contractOf, servePageOf } from "./surroundings.js";
import type { Served } from "./surroundings.js";

/** The page in a real browser, over a real catalogue. */

const PATIENCE = { timeout: 60_000 };
// A browser, a database and whatever else the machine does at once.
vi.setConfig({ testTimeout: 120_000 });

let postgres: TestPostgres;
let catalogue: TestCatalogue;
let served: Served;
let browser: TestBrowser;
const opened: TestPage[] = [];

beforeAll(async () => {
  browser = await startBrowser();
  postgres = await startPostgres();
  catalogue = await postgres.createCatalogue(["acme", "globex"]);
  await addHistory(catalogue, {
    volumes: 60,
    capacityBytes: CAPACITY,
    sweeps: 96,
    tenants: ["acme", "globex"],
    jobs: 300,
  });
  await addDeletions(catalogue, 75);
  served = await servePageOf(catalogue, contractOf(61));
  await served.verifier.verify();
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await served?.server.close();
  await catalogue?.close();
  await postgres?.stop();
}, 120_000);
afterEach(async () => {
  for (const { page } of opened.splice(0)) await page.close();
});

interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
  readonly path?: string;
}

async function open({
  width = 1280,
  height = 800,
  scheme = "light",
  path = "",
}: Look = {}): Promise<TestPage> {
  const made = await browser.newPage();
  made.page.setDefaultTimeout(PATIENCE.timeout);
  opened.push(made);
  await made.page.setViewportSize({ width, height });
  await made.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  await made.page.goto(served.server.url + path);
  await made.page.getByRole("heading", { level: 1 }).waitFor({ state: "attached" });
  return made;
}

const rowsOf = (page: Page, table: string): Promise<string[]> =>
  page.getByRole("table", { name: table }).locator("tbody th").allInnerTexts();

async function press(
  page: Page,
  key: string,
  times = 1,
): Promise<{ name: string; tag: string; ring: boolean; within: boolean }> {
  for (let i = 0; i < times; i++) await page.keyboard.press(key);
  return page.evaluate(FOCUSED);
}

describe("on a desktop", () => {
  it("shows volumes, what is due, jobs, sweeps, the audit and alerts", async () => {
    const { page, complaints, requests } = await open();
    expect(await page.title()).toBe("(2) Video storage · test");
    const headings = await page.getByRole("heading", { level: 2 }).allInnerTexts();
    expect(headings).toEqual([
      "Volumes",
      "What the next sweep does",
      "Jobs",
      "Alerts",
      "Last sweeps",
      "Audit",
    ]);
    await expect.poll(() => rowsOf(page, "Volumes, fullest first"), PATIENCE).toHaveLength(25);
    expect(await page.getByText("1 to 25 of 61").isVisible()).toBe(true);
    expect(await page.getByText("every chain is whole: 150 rows in 3 chains").isVisible()).toBe(true);
    const drawn = (await page.evaluate(`(${DRAWN})(".sparkline")`)) as number[];
    expect(drawn).toHaveLength(25);
    expect(drawn.filter((pixels) => pixels > 200)).toHaveLength(25);
    // In words as well.
    const said = await page.getByRole("img").first().getAttribute("aria-label");
    expect(said?.replaceAll("\u00a0", " ")).toMatch(
      /^Use over the last 24 hours: from \d+ % to >?\d+ %, last >?\d+ %$/,
    );
    expect(complaints).toEqual([]);
    expect([...new Set(requests.map((address) => new URL(address).origin))]).toEqual([
      new URL(served.server.url).origin,
    ]);
  });

  it("shifts nothing by itself, neither while it comes nor when it is asked again", async () => {
    const { page } = await open();
    await page.waitForResponse((response) => response.url().includes("/api/v1/status"));
    await page.waitForResponse((response) => response.url().includes("/api/v1/status"));
    expect(await page.evaluate(SHIFTS)).toBeLessThan(0.1);
  });

  it("finds volumes while one types, keeps the focus, and says how many aloud", async () => {
    const { page } = await open();
    const search = page.getByRole("searchbox", { name: "Find" });
    await search.focus();
    await page.keyboard.type("node-14-");
    await page.getByText("1 to 25 of 61").waitFor({ state: "detached" });
    expect((await rowsOf(page, "Volumes, fullest first")).toSorted()).toEqual(
      [0, 1, 2, 3].map((slot) => `node-14-slot-${slot}`),
    );
    expect(await page.getByRole("status").innerText()).toBe("4 volumes found");
    expect(await page.evaluate(FOCUSED)).toMatchObject({ tag: "input", name: "search" });
    await search.fill("nowhere");
    await page.getByText("No volume's name, node or tenant has “nowhere”.").waitFor();
    await search.fill("");
    await page.getByRole("combobox", { name: "Order" }).selectOption({ label: "by name" });
    await page.getByRole("table", { name: "Volumes, by name" }).waitFor();
    expect((await rowsOf(page, "Volumes, by name")).slice(0, 5)).toEqual(
      [0, 1, 2, 3, 4].map((index) => volumeName(index)),
    );
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("26 to 50 of 61").waitFor();
    expect((await rowsOf(page, "Volumes, by name"))[0]).toBe(volumeName(25));
  });

  it("shows a volume, its use over time as a plot and in figures, and more of its audit", async () => {
    const { page, complaints } = await open();
    const name = volumeName(1);
    await page.getByRole("searchbox", { name: "Find" }).fill(name);
    await page.getByText("1 to 25 of 61").waitFor({ state: "detached" });
    await page
      .getByRole("table", { name: "Volumes, fullest first" })
      .getByRole("link", { name, exact: true })
      .click();
    await page.getByRole("heading", { name: "Use over time" }).waitFor();
    expect(new URL(page.url()).hash).toBe(`#/volume/${name}`);
    const [drawn] = (await page.evaluate(`(${DRAWN})(".plot")`)) as number[];
    expect(drawn).toBeGreaterThan(10_000);
    await page.getByText("The same in figures").click();
    expect((await rowsOf(page, "Use over time")).length).toBeGreaterThan(20);
    expect(await rowsOf(page, "The audit, the latest first")).toHaveLength(20);
    await page.getByRole("button", { name: "Earlier rows" }).click();
    await expect
      .poll(async () => (await rowsOf(page, "The audit, the latest first")).length, PATIENCE)
      .toBe(40);
    const week = page.getByRole("button", { name: "7 days" });
    await week.click();
    await page.getByRole("img", { name: /^Use over the last 7 days/ }).waitFor();
    expect(await week.getAttribute("aria-pressed")).toBe("true");
    // What was opened stays open when it is drawn again.
    expect(await page.locator("details[open]").count()).toBe(1);
    await page.goBack();
    await page.getByRole("heading", { name: "Last sweeps" }).waitFor();
    expect(await page.getByRole("searchbox", { name: "Find" }).inputValue()).toBe(name);
    expect(complaints).toEqual([]);
  });

  it("says what lies under the pointer in a plot, for as long as it lies there", async () => {
    const { page } = await open({ path: `#/volume/${volumeName(1)}` });
    const said = page.locator("output.pointed");
    const reading = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: [\d.]+\s\wiB$/;
    await page.locator(".plot").hover();
    await expect.poll(() => said.innerText(), PATIENCE).toMatch(reading);
    await page.waitForResponse((response) => response.url().includes("/api/v1/volume"));
    await page.waitForTimeout(2_500);
    expect(await said.innerText()).toMatch(reading);
    await page.mouse.move(0, 0);
    await expect.poll(() => said.innerText(), PATIENCE).toBe("");
  });

  it("looks a job up, and takes nothing that is no job's id", async () => {
    const { page, complaints } = await open();
    const field = page.getByRole("textbox", { name: "Job" });
    await field.fill("no id");
    await page.getByRole("button", { name: "Look it up" }).click();
    expect(new URL(page.url()).hash).toBe("");
    expect(await page.locator("input[name=job]:invalid").count()).toBe(1);
    await field.fill("");
    // As it may have been copied.
    await page.keyboard.insertText(" 00000000-0008-7000-8000-00000000F778 ");
    await field.press("Enter");
    await page.getByText("By the catalogue: a lock, a living pod").waitFor();
    expect(new URL(page.url()).hash).toBe("#/job/00000000-0008-7000-8000-00000000f778");
    const facts = await page.locator("dl").innerText();
    expect(facts).toMatch(/Next sweep\s+!? ?delete uploaded for \d+[smhd], allowed are 1m/);
    expect(facts).toMatch(/Tenant\s+acme/);
    expect(complaints).toEqual([]);
  });

  it("shows alerts of one name and summary, each, for as long as it fires", async () => {
    const alert = (severity: string): Alert => ({
      ...{ name: "NodeFilesystemAlmostOutOfSpace", state: "firing", severity },
      ...{ since: "2026-01-01T00:00:00.000Z", summary: "slot-0 has 2.0 % of its space left" },
      ...{ description: "", runbook: "https://runbooks.test/" },
    });
    let firing = [alert("critical"), alert("warning")];
    const { page } = await open();
    await page.route(/\/api\/v1\/status/, async (route) => {
      const response = await route.fetch();
      const status = (await response.json()) as Status;
      const problems = firing.map(({ severity, summary }): Problem => ({
        level: severity === "critical" ? "failing" : "attention",
        ...{ code: "alert-NodeFilesystemAlmostOutOfSpace", message: summary, part: "alerts" },
      }));
      const alerts = { rules: 2, alerts: firing };
      await route.fulfill({ response, json: { ...status, problems, alerts } });
    });
    const badges = (list: string) => page.locator(`ul.${list} > li .badge`).allInnerTexts();
    await expect.poll(() => badges("alerts"), PATIENCE).toEqual(["✕ critical", "! warning"]);
    await page.waitForResponse((response) => response.url().includes("/api/v1/status"));
    expect(await badges("alerts")).toEqual(["✕ critical", "! warning"]);
    expect(await badges("problems")).toEqual(["✕ failing", "! look"]);
    await page.locator("ul.alerts > li").nth(1).getByRole("link").focus();
    firing = [alert("warning")];
    await expect.poll(() => badges("alerts"), PATIENCE).toEqual(["! warning"]);
    expect(await badges("problems")).toEqual(["! look"]);
    expect(await page.evaluate(FOCUSED)).toMatchObject({ tag: "a" });
  });

  it("keeps scroll and focus while it asks again, and rests while it is paused", async () => {
    const { page, requests } = await open({ height: 500 });
    await page.getByRole("button", { name: "Show all 50" }).click();
    const link = page
      .getByRole("table", { name: /^Jobs that are due/ })
      .getByRole("link")
      .nth(60);
    await link.focus();
    const before = { focus: await page.evaluate(FOCUSED), scrolled: await page.evaluate("scrollY") };
    expect(before.scrolled).toBeGreaterThan(500);
    await page.waitForResponse((response) => response.url().includes("/api/v1/status"));
    await page.waitForResponse((response) => response.url().includes("/api/v1/status"));
    expect({ focus: await page.evaluate(FOCUSED), scrolled: await page.evaluate("scrollY") }).toEqual(before);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText(/^paused, from/).waitFor();
    const asked = requests.length;
    await page.waitForTimeout(7_000);
    expect(requests.length).toBeLessThanOrEqual(asked + 1);
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText(/^updated/).waitFor();
  });
});

describe("earlier rows of a volume's audit", () => {
  const TABLE = "The audit, the latest first";
  const AUDIT = /\/api\/v1\/audit\?/;
  const from = (last: number, count: number): string[] =>
    Array.from({ length: count }, (_, index) => String(last - index));
  const sequences = (page: Page): Promise<string[]> =>
    page.getByRole("table", { name: TABLE }).locator("tbody td:nth-child(2)").allInnerTexts();
  const button = (page: Page) => page.getByRole("button", { name: "Earlier rows" });

  async function openVolume(index: number): Promise<TestPage> {
    const made = await open({ path: `#/volume/${volumeName(index)}` });
    await expect.poll(() => sequences(made.page), PATIENCE).toEqual(from(50, 20));
    return made;
  }

  it("come once for a double click", async () => {
    const { page, requests } = await openVolume(1);
    await button(page).dblclick();
    await expect.poll(() => sequences(page), PATIENCE).toEqual(from(50, 40));
    await page.waitForResponse((response) => response.url().includes("/api/v1/volume"));
    expect(await sequences(page)).toEqual(from(50, 40));
    expect(requests.filter((address) => AUDIT.test(address))).toHaveLength(1);
  });

  it("are not shown of another volume than they were asked of", async () => {
    const { page } = await openVolume(1);
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => (goOn = resolve));
    await page.route(AUDIT, async (route) => {
      await held;
      await route.continue();
    });
    await button(page).click();
    await page.goto(`${served.server.url}#/volume/${volumeName(2)}`);
    await page.getByRole("heading", { level: 1, name: volumeName(2) }).waitFor();
    await expect.poll(() => sequences(page), PATIENCE).toEqual(from(50, 20));
    const answer = page.waitForResponse(AUDIT);
    goOn();
    await (await answer).finished();
    await page.waitForResponse((response) => response.url().includes("/api/v1/volume"));
    expect(await sequences(page)).toEqual(from(50, 20));
  });

  it("say why none came, and come when they are asked for again", async () => {
    const { page } = await openVolume(1);
    const error = { code: "catalogue-unreachable", message: "The catalogue can't be reached" };
    await page.route(AUDIT, (route) => route.fulfill({ status: 503, json: { error } }));
    await button(page).click();
    const alert = page.getByRole("alert").filter({ hasText: "No earlier rows" });
    await alert.waitFor();
    expect(await alert.innerText()).toBe("No earlier rows: The catalogue can't be reached.");
    expect(await sequences(page)).toEqual(from(50, 20));
    await page.unroute(AUDIT);
    await button(page).click();
    await expect.poll(() => sequences(page), PATIENCE).toEqual(from(50, 40));
    expect(await alert.count()).toBe(0);
  });

  it("are all there when rows are written meanwhile, few or many", async () => {
    const { page } = await openVolume(0);
    await button(page).click();
    await expect.poll(() => sequences(page), PATIENCE).toEqual(from(50, 40));
    // Paused, so that it reads either none of what is written or all.
    await page.waitForResponse((response) => response.url().includes("/api/v1/volume"));
    await page.getByRole("button", { name: "Pause" }).click();
    await addDeletions(catalogue, 3, 1);
    await page.getByRole("button", { name: "Go on" }).click();
    await expect.poll(async () => (await sequences(page))[0], PATIENCE).toBe("56");
    expect(await sequences(page)).toEqual(from(56, 46));
    await page.getByRole("button", { name: "Pause" }).click();
    await addDeletions(catalogue, 15, 1);
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("Many rows were written since.").waitFor();
    expect(await sequences(page)).toEqual(from(56, 46));
    await button(page).click();
    await expect.poll(() => sequences(page), PATIENCE).toEqual(from(56, 56));
    expect(await button(page).count()).toBe(0);
    await page.getByRole("button", { name: "Show the latest rows" }).click();
    await expect.poll(() => sequences(page), PATIENCE).toEqual(from(86, 20));
  });
});

describe("without a mouse", () => {
  it("leads by the tab key through everything, each with a ring that is seen, and opens a volume and comes back", async () => {
    const { page } = await open();
    expect(await press(page, "Tab")).toMatchObject({ name: "Skip to the content", ring: true, within: true });
    expect(await press(page, "Tab")).toMatchObject({ name: "Video storage test", ring: true });
    expect(await press(page, "Tab")).toMatchObject({ tag: "button", name: "Pause", ring: true });
    expect(await press(page, "Tab", 2)).toMatchObject({ tag: "a", name: "Show volumes", ring: true });
    const names: string[] = [];
    for (let i = 0; i < 8; i++) {
      const at = await press(page, "Tab");
      expect(at).toMatchObject({ ring: true, within: true });
      names.push(at.name.replaceAll("\u00a0", " "));
    }
    expect(names.slice(0, 5).map((name) => name.slice(0, 5))).toEqual([
      "In us",
      "Jobs3",
      "Due20",
      "Audit",
      "Alert",
    ]);
    expect(names.slice(5, 7)).toEqual(["search", "sort"]);
    const volume = names[7]!;
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: volume }).waitFor();
    expect(await page.evaluate(FOCUSED)).toMatchObject({ tag: "h1" });
    expect(await press(page, "Shift+Tab")).toMatchObject({ name: "← All volumes", ring: true });
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Last sweeps" }).waitFor();
  });

  it("has a name for everything that can be focused", async () => {
    const { page } = await open();
    const all = (await page.evaluate(FOCUSABLE)) as string[];
    expect(all.length).toBeGreaterThan(60);
    expect(all.filter((each) => each.includes("WITHOUT A NAME"))).toEqual([]);
    await page.goto(`${served.server.url}#/volume/${volumeName(1)}`);
    await page.getByRole("heading", { name: "Use over time" }).waitFor();
    expect(
      ((await page.evaluate(FOCUSABLE)) as string[]).filter((each) => each.includes("WITHOUT A NAME")),
    ).toEqual([]);
  });
});

describe("to the eye", () => {
  it.each([
    ["light", ""],
    ["dark", ""],
    ["light", `#/volume/${volumeName(1)}`],
    ["dark", `#/volume/${volumeName(1)}`],
  ] as const)("has contrast enough in the %s scheme at /%s", async (scheme, path) => {
    const { page } = await open({ scheme, path });
    await page.getByRole("heading", { level: 2 }).first().waitFor();
    const dark = await page.evaluate(`getComputedStyle(document.documentElement).backgroundColor`);
    expect(dark).toBe(scheme === "dark" ? "rgb(19, 21, 24)" : "rgb(251, 251, 250)");
    const { seen, found } = (await page.evaluate(TOO_LITTLE_CONTRAST)) as { seen: number; found: string[] };
    expect(seen).toBeGreaterThan(100);
    expect(found).toEqual([]);
  });

  it.each([
    ["", 390],
    [`#/volume/${volumeName(1)}`, 390],
    ["", 320],
  ] as const)("fits a phone: /%s at %d pixels", async (path, width) => {
    const { page, complaints } = await open({ width, height: 844, path });
    await page.getByRole("heading", { level: 2 }).first().waitFor();
    expect(await page.evaluate(TOO_WIDE)).toEqual([]);
    const beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    expect(await page.evaluate(beyond)).toBeLessThanOrEqual(0);
    // Still a table by ear, though each row is a card.
    expect(await page.getByRole("row").count()).toBeGreaterThan(10);
    const heights = (await page.evaluate(
      `[...document.querySelectorAll("button, input, select")].map((element) => element.getBoundingClientRect().height)`,
    )) as number[];
    expect(heights.every((height) => height >= 38)).toBe(true);
    expect(complaints).toEqual([]);
  });
});

describe("when something goes away", () => {
  it("goes on showing what was read when the catalogue does, says so, and takes up again", async () => {
    const { page, complaints } = await open();
    await postgres.interrupt();
    try {
      await page
        .getByRole("alert")
        .filter({ hasText: /^Catalogue as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/ })
        .waitFor();
      expect(await page.locator(".top .badge").innerText()).toBe("✕ failing");
      expect(await page.getByRole("list", { name: "What needs a look" }).innerText()).toContain(
        "can't be reached now",
      );
      expect(await rowsOf(page, "Volumes, fullest first")).toHaveLength(25);
      await page.goto(`${served.server.url}#/volume/${volumeName(1)}`);
      await page
        .getByText(/the catalogue at .* can't be reached now/)
        .first()
        .waitFor();
    } finally {
      await postgres.resume();
    }
    await page.getByRole("heading", { name: "Use over time" }).waitFor();
    await page.goto(served.server.url);
    await page.getByRole("heading", { name: "Last sweeps" }).waitFor();
    await page.getByRole("alert").waitFor({ state: "hidden" });
    // A detail that can't be had is told by its status; nothing else went wrong.
    expect(complaints.filter((each) => !/503/.test(each))).toEqual([]);
  });

  it("says so when the program itself is gone", async () => {
    const other = await servePageOf(catalogue, contractOf(61));
    const made = await browser.newPage();
    opened.push(made);
    made.page.setDefaultTimeout(PATIENCE.timeout);
    await made.page.goto(other.server.url);
    await made.page.getByRole("heading", { name: "Last sweeps" }).waitFor();
    await other.server.close();
    await made.page
      .getByRole("alert")
      .filter({ hasText: /^The program that serves this page doesn't answer\. What is shown is from / })
      .waitFor();
    expect(await rowsOf(made.page, "Volumes, fullest first")).toHaveLength(25);
  });
});

describe("with nothing to show", () => {
  it("says of each part that there is nothing, and of the catalogue that it was never read", async () => {
    const empty = await postgres.createCatalogue([]);
    const none = await servePageOf(empty, contractOf(0, { tenants: [] }));
    const made = await browser.newPage();
    opened.push(made);
    made.page.setDefaultTimeout(PATIENCE.timeout);
    await made.page.goto(none.server.url);
    await made.page.getByText("The stack has no volumes yet.").waitFor();
    const text = await made.page.locator("main").innerText();
    for (const words of [
      "No job's time has run out.",
      "No tenant has a job.",
      "No sweep has begun yet.",
      "Nothing was deleted or moved yet.",
      "No Prometheus was named",
    ]) {
      expect(text).toContain(words);
    }
    expect(made.complaints).toEqual([]);
    await none.server.close();
    await empty.close();
  });
});
