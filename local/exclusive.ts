import { createServer } from "node:net";

import { Failure } from "./failure.js";
import { fingerprint } from "./paths.js";

/**
 * Makes this process the only one at work on a state directory. Held by a socket in the kernel's abstract
 * namespace: it goes with the process however that ends, so there is no stale lock.
 */
export async function workAlone(stateDirectory: string): Promise<void> {
  const server = createServer();
  server.unref();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") return reject(error);
      reject(
        new Failure(
          "Another command is at work on this environment.",
          "Wait for it, or end it with Ctrl-C where it runs.",
        ),
      );
    });
    server.listen(`\0video-storage-${fingerprint(stateDirectory)}`, resolve);
  });
}
