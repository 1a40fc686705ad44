import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";

/** One file of the page, in memory: a handful, and small. */
export interface PageFile {
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
}

const FILES = [
  { path: "/", name: "index.html", type: "text/html; charset=utf-8" },
  { path: "/page.js", name: "page.js", type: "text/javascript; charset=utf-8" },
  { path: "/page.css", name: "page.css", type: "text/css; charset=utf-8" },
  { path: "/icon.svg", name: "icon.svg", type: "image/svg+xml" },
] as const;

/** The page's files: beside the bundled program, or bundled now from their sources. */
export async function pageFiles(): Promise<PageFile[]> {
  const directory = new URL("page/", import.meta.url);
  const read = existsSync(new URL("page.js", directory))
    ? (name: string): Promise<Buffer> => readFile(new URL(name, directory))
    : await bundled(directory);
  return Promise.all(FILES.map(async ({ path, name, type }) => ({ path, type, body: await read(name) })));
}

async function bundled(directory: URL): Promise<(name: string) => Promise<Buffer>> {
  // Not a literal: what bundles this program must not look for the bundler in it.
  const build = new URL("build.mjs", directory).href;
  const { buildPage } = (await import(build)) as { buildPage: () => Promise<Map<string, Buffer>> };
  const files = await buildPage();
  return async (name) => files.get(name)!;
}
