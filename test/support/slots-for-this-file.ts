import { afterAll, beforeAll } from "vitest";

import { inTurn } from "../../local/exclusive.js";
import { runningName } from "./running-environment.js";

/**
 * Has all slots for the calling file from its first test to its last hook: what one file measures on them, another would
 * disturb. To be called before the file's own hooks, so that it has them first and longest.
 */
export function slotsForThisFile(): void {
  let release = (): void => undefined;
  beforeAll(
    () =>
      new Promise<void>((resolve, reject) => {
        const released = new Promise<void>((end) => (release = end));
        inTurn(`slots of ${runningName()}`, () => {
          resolve();
          return released;
        }).catch(reject);
      }),
  );
  afterAll(() => release());
}
