import { formatAgo, formatCount, formatTime, plural } from "../format.js";
import type {
  AuditEntry,
  JobDetail,
  Level,
  SourceState,
  Status,
  VolumeDetail,
  VolumeSort,
} from "../model.js";
import { LEVEL_WORDS } from "../words.js";
import { back, jobView, volumeView } from "./details.js";
import { h, render } from "./dom.js";
import type { Content, Description } from "./dom.js";
import { answered, asked, nothingEarlier, withLatest } from "./earlier-rows.js";
import type { EarlierRows } from "./earlier-rows.js";
import { overview } from "./overview.js";
import { badge, empty, quiet } from "./parts.js";
import type { Unfolding } from "./parts.js";

const EVERY_MILLISECONDS = 5_000;
/** Longer than the server takes for anything. */
const TIMEOUT_MILLISECONDS = 15_000;
const TYPING_MILLISECONDS = 200;
const REFRESH_RESTS_MILLISECONDS = 1_000;

type Route =
  | { readonly view: "overview" }
  | { readonly view: "volume"; readonly name: string }
  | { readonly view: "job"; readonly id: string };

/** What came last from one address, and why nothing came since. */
interface Answer<T> {
  readonly address: string;
  readonly value: T | undefined;
  readonly problem: string | undefined;
}

const NOTHING = { address: "", value: undefined, problem: undefined };

const state = {
  route: routeOf(location.hash),
  status: NOTHING as Answer<Status>,
  /** By this machine's clock. */
  receivedAt: 0,
  volume: NOTHING as Answer<VolumeDetail>,
  job: NOTHING as Answer<JobDetail>,
  /** Of the volume that is shown. */
  earlier: nothingEarlierOn(routeOf(location.hash)),
  hours: 24,
  search: "",
  sort: "fullness" as VolumeSort,
  page: 1,
  /** Tables that are shown whole. */
  unfolded: new Set<string>(),
  paused: false,
  asking: false,
  /** Where the overview was scrolled to. */
  scrolledTo: 0,
};

const root = document.querySelector<HTMLElement>("#page")!;
const announcer = document.querySelector<HTMLElement>("#announcer")!;

function routeOf(hash: string): Route {
  const [, kind, rest] = /^#\/(volume|job)\/(.+)$/.exec(hash) ?? [];
  try {
    if (kind === "volume") return { view: "volume", name: decodeURIComponent(rest!) };
    if (kind === "job") return { view: "job", id: rest! };
  } catch {
    // Not what this page has made.
  }
  return { view: "overview" };
}

function nothingEarlierOn(route: Route): EarlierRows {
  return nothingEarlier(route.view === "volume" ? route.name : "");
}

async function ask<T>(address: string, before: Answer<T>): Promise<Answer<T>> {
  const known = before.address === address ? before.value : undefined;
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) });
    const body = (await response.json()) as T & { error?: { message: string } };
    if (!response.ok)
      return { address, value: known, problem: body.error?.message ?? `The answer was ${response.status}` };
    return { address, value: body, problem: undefined };
  } catch {
    return { address, value: known, problem: "The program that serves this page doesn't answer" };
  }
}

function statusAddress(): string {
  const parameters = new URLSearchParams({ sort: state.sort, page: String(state.page) });
  if (state.search !== "") parameters.set("search", state.search);
  return `/api/v1/status?${parameters}`;
}

let timer: ReturnType<typeof setTimeout> | undefined;
let turn = 0;

/** Asks for what is shown, shows it, and comes again. A newer call makes an older one's answers count no more. */
async function refresh(): Promise<void> {
  clearTimeout(timer);
  const mine = ++turn;
  const { route } = state;
  state.asking = true;
  const address = statusAddress();
  // Another order of the same volumes is no reason to show nothing meanwhile.
  const asked = ask(address, { ...state.status, address });
  const [status] = await Promise.all([asked, refreshDetail(route, () => mine === turn)]);
  if (mine !== turn) return;
  const before = state.status.value?.level;
  state.status = status;
  if (status.problem === undefined) state.receivedAt = Date.now();
  state.page = status.value?.volumes?.page ?? state.page;
  state.asking = false;
  draw();
  announceLevel(before, status.value?.level);
  schedule();
}

async function refreshDetail(route: Route, stillAsked: () => boolean): Promise<void> {
  if (route.view === "volume") {
    const name = encodeURIComponent(route.name);
    const answer = await ask(`/api/v1/volume?name=${name}&hours=${state.hours}`, state.volume);
    if (!stillAsked()) return;
    state.volume = { ...answer, value: answer.value ?? sameVolume(route.name) };
    if (state.volume.value) state.earlier = withLatest(state.earlier, state.volume.value.audit);
  } else if (route.view === "job") {
    const answer = await ask(`/api/v1/job?id=${encodeURIComponent(route.id)}`, state.job);
    if (stillAsked()) state.job = answer;
  }
}

/** The volume for another time is better than nothing, until the right one has come. */
function sameVolume(name: string): VolumeDetail | undefined {
  return state.volume.value?.volume.name === name ? state.volume.value : undefined;
}

function schedule(): void {
  clearTimeout(timer);
  if (!state.paused && !document.hidden) timer = setTimeout(() => void refresh(), EVERY_MILLISECONDS);
}

/** Only what changes is said aloud, not every refresh. */
function announceLevel(before: Level | undefined, now: Level | undefined): void {
  if (now === undefined || before === now || (before === undefined && now === "ok")) return;
  announcer.textContent = `The storage: ${LEVEL_WORDS[now]}. ${plural(state.status.value!.problems.length, "problem")}.`;
}

function draw(): void {
  const { value: status } = state.status;
  document.title = titleOf(status);
  render(
    root,
    header(status),
    trouble(status),
    h("main", { id: "main", key: "main", tabindex: "-1" }, main(status)),
  );
}

function titleOf(status: Status | undefined): string {
  if (!status) return "Video storage";
  const count = status.problems.length;
  return `${count > 0 ? `(${formatCount(count)}) ` : ""}Video storage · ${status.environment}`;
}

function header(status: Status | undefined): Description {
  const level = state.status.problem === undefined ? status?.level : "failing";
  return h(
    "header",
    { key: "header", class: "top" },
    h("a", { href: "#/", class: "name" }, "Video storage", status && quiet(` ${status.environment}`)),
    level !== undefined &&
      badge(level, state.status.problem === undefined ? LEVEL_WORDS[level] : "no answer"),
    h("span", { class: "spring" }),
    h("span", { class: "updated", title: status && formatTime(status.at) }, updatedWords(status)),
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(state.paused),
        on: { click: pause },
        title: "Stop or go on asking every five seconds",
      },
      state.paused ? "Go on" : "Pause",
    ),
  );
}

function updatedWords(status: Status | undefined): string {
  if (!status) return "asking …";
  const since = formatAgo(new Date(state.receivedAt).toISOString(), new Date().toISOString());
  return state.paused ? `paused, from ${since}` : `updated ${since}`;
}

function pause(): void {
  state.paused = !state.paused;
  draw();
  if (state.paused) clearTimeout(timer);
  else void refresh();
}

/** Whether what is shown is old, and why. Always there, so that nothing moves when it has something to say. */
function trouble(status: Status | undefined): Description {
  const old = (name: string, { state: of, readAt }: SourceState): string | false =>
    (of === "unreachable" || of === "waiting") && readAt !== null && `${name} as of ${formatTime(readAt)}`;
  const words = [
    state.status.problem !== undefined &&
      `${state.status.problem}. ${status ? `What is shown is from ${formatTime(status.at)}.` : "Is it still running?"}`,
    status && state.status.problem === undefined && old("Catalogue", status.catalogue),
  ].filter((each) => typeof each === "string");
  return h(
    "p",
    { key: "trouble", class: "trouble", role: "alert", hidden: words.length === 0 },
    words.join(" "),
  );
}

function main(status: Status | undefined): Content {
  const { route } = state;
  if (route.view === "volume") return volumePage(route.name, status);
  if (route.view === "job") return jobPage(route.id);
  if (!status)
    return h(
      "p",
      { key: "starting", class: "starting" },
      state.status.problem === undefined ? "Asking the catalogue …" : "Nothing could be read yet.",
    );
  return overview(status, state, { search, sort, page, job, unfolding });
}

function volumePage(name: string, status: Status | undefined): Content {
  const { value, problem } = state.volume;
  if (value?.volume.name !== name) return waiting(problem, `volume ${name}`);
  return [
    problem !== undefined &&
      h(
        "p",
        { key: "stale", class: "trouble" },
        `${problem}. What is shown is from ${formatTime(value.at)}.`,
      ),
    ...([
      volumeView(value, status?.volumes?.highWaterPercent ?? null, state.earlier, { hours, earlier, latest }),
    ] as Content[]),
  ];
}

function jobPage(id: string): Content {
  const { value, problem, address } = state.job;
  return value && address.endsWith(encodeURIComponent(id))
    ? jobView(id, value)
    : waiting(problem, `job ${id}`);
}

function waiting(problem: string | undefined, what: string): Content {
  return [back(), h("h1", { key: "title", tabindex: "-1" }, what), empty(problem ?? "Asking …")];
}

let typing: ReturnType<typeof setTimeout> | undefined;

function search(text: string): void {
  state.search = text;
  state.page = 1;
  clearTimeout(typing);
  typing = setTimeout(() => void refresh().then(announceFound), TYPING_MILLISECONDS);
}

function announceFound(): void {
  const part = state.status.value?.volumes;
  if (part) announcer.textContent = `${plural(part.matching, "volume")} found`;
}

function sort(by: VolumeSort): void {
  state.sort = by;
  state.page = 1;
  void refresh();
}

function page(number: number): void {
  state.page = number;
  void refresh();
}

function job(id: string): void {
  location.hash = `#/job/${id.trim().toLowerCase()}`;
}

function unfolding(part: string): Unfolding {
  const toggle = (): void => {
    if (!state.unfolded.delete(part)) state.unfolded.add(part);
    draw();
  };
  return { all: state.unfolded.has(part), toggle };
}

function hours(chosen: number): void {
  state.hours = chosen;
  draw();
  void refresh();
}

async function earlier(): Promise<void> {
  const detail = state.volume.value;
  if (!detail || state.earlier.asking) return;
  state.earlier = asked(state.earlier, detail.audit);
  draw();
  const { volume, rows } = state.earlier;
  const before = rows.at(-1)?.sequence ?? 0;
  const address = `/api/v1/audit?volume=${encodeURIComponent(volume)}&before=${before}`;
  const answer = await ask<AuditEntry[]>(address, NOTHING);
  if (state.earlier.volume !== volume) return;
  state.earlier = answered(state.earlier, before, answer);
  draw();
}

function latest(): void {
  state.earlier = nothingEarlier(state.earlier.volume);
  draw();
}

function routeChanged(): void {
  const next = routeOf(location.hash);
  const before = state.route;
  if (JSON.stringify(next) === JSON.stringify(before)) return;
  if (before.view === "overview") state.scrolledTo = scrollY;
  state.route = next;
  state.earlier = nothingEarlierOn(next);
  draw();
  if (next.view === "overview") scrollTo(0, state.scrolledTo);
  else {
    scrollTo(0, 0);
    document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }
  void refresh();
}

addEventListener("hashchange", routeChanged);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !state.paused) void refresh();
  else schedule();
});
// Ages are told to the second.
setInterval(() => {
  if (!document.hidden && state.status.value && !state.asking) draw();
}, REFRESH_RESTS_MILLISECONDS);

draw();
void refresh();
