import { unlink } from "node:fs/promises";
import { childPath, nameOfEntry } from "./handles.js";
import { close } from "./system-calls.js";
import type { TreeControl } from "./tree-control.js";
import type { Aside } from "./tree-thread.js";

/** Of the four threads that Node.js has for files one is left to everything else of the process. */
const AT_ONCE = 3;

/**
 * Removes files that take long, without keeping the calling thread from its work: by Node's own threads, which take no
 * time to start, as a thread that runs JavaScript does.
 */
export class LargeFiles {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  /** Whether all have gone; the others are left. Closes the directories. */
  async remove({ files, directories }: Aside, control: TreeControl): Promise<boolean> {
    try {
      const gone = files.map(async ({ directory, name, bytes }) => {
        try {
          await this.inTurn(() => unlink(childPath(directory, nameOfEntry(name))));
          control.add({ bytes, files: 1, directories: 0, moves: 0 });
          return true;
        } catch (error) {
          return (error as NodeJS.ErrnoException).code === "ENOENT";
        }
      });
      return (await Promise.all(gone)).every(Boolean);
    } finally {
      for (const directory of directories) close(directory);
    }
  }

  private async inTurn(work: () => Promise<void>): Promise<void> {
    while (this.running >= AT_ONCE) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.running++;
    try {
      await work();
    } finally {
      this.running--;
      this.waiting.shift()?.();
    }
  }
}
