import { createServer } from "node:net";
import type { Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { Failure } from "./failure.js";
import { fingerprint } from "./paths.js";

/**
 * Makes this process the only one at work on a state directory, until it ends. Throws {@link Failure} when
 * another one is.
 */
export async function workAlone(stateDirectory: string): Promise<void> {
  if (await claim(stateDirectory)) return;
  throw new Failure(
    "Another command is at work on this environment.",
    "Wait for it, or end it with Ctrl-C where it runs.",
  );
}

/** Does a work that processes of other environments may be doing too, when it is this one's turn. */
export async function inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
  let server = await claim(name);
  while (!server) {
    await sleep(100);
    server = await claim(name);
  }
  try {
    return await work();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

/** A socket in the kernel's abstract namespace: it goes with the process, so no lock is ever stale. */
function claim(name: string): Promise<Server | undefined> {
  const server = createServer();
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(`\0video-storage-${fingerprint(name)}`, () => resolve(server));
  });
}
