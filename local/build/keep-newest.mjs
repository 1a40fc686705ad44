// Plain JavaScript, because the bootstrap keeps packages before anything else is there.
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

export async function keepNewest(parent, kind, count) {
  const paths = (await readdir(parent)).filter((name) => kind.test(name)).map((name) => join(parent, name));
  const dated = await Promise.all(paths.map(async (path) => ({ path, made: (await stat(path)).mtimeMs })));
  const old = dated.sort((a, b) => b.made - a.made).slice(count);
  for (const { path } of old) await rm(path, { recursive: true, force: true });
}
