import * as fs from "node:fs";

/** One entry; call `done` when it has been dealt with, so that the next may be read. */
export type Visit = (name: Buffer, looksLikeDirectory: boolean, done: () => void) => void;

/**
 * Streams an open directory's entries with at most `limit` of them in hand, so that memory doesn't grow
 * with their number. Resolves, once every visit is done, to how many were seen. Callbacks and not an async
 * iterator: promises doubled the processor time per file (measured, 200,000 files).
 */
export function eachEntry(fd: number, limit: number, signal: AbortSignal, visit: Visit): Promise<number> {
  return new Promise((resolve, reject) => {
    // Through the handle's own link and not by name: opendir of a name follows links.
    const options = { encoding: "buffer" as BufferEncoding, bufferSize: 512 };
    fs.opendir(`/proc/self/fd/${fd}`, options, (openError, directory) => {
      if (openError) return reject(openError);
      let seen = 0;
      let inHand = 0;
      let reading = false;
      let ended = false;
      let failure: Error | null = null;

      const finish = (): void => {
        if (inHand > 0 || reading) return;
        directory.close(() => (failure ? reject(failure) : resolve(seen)));
      };
      const pump = (): void => {
        if (reading || inHand >= limit) return;
        if (signal.aborted) ended = true;
        if (ended) return finish();
        reading = true;
        directory.read((readError, entry) => {
          reading = false;
          if (readError || !entry) {
            failure = readError;
            ended = true;
            return finish();
          }
          seen++;
          inHand++;
          visit(entry.name as unknown as Buffer, entry.isDirectory(), () => {
            inHand--;
            pump();
          });
          pump();
        });
      };
      pump();
    });
  });
}
