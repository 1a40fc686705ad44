import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";

/** What `npm start` left is looked at before anything is changed. */
const FIRST = "/started/start.test.ts";
/** These take turns, so that one of them is at work beside something else, and none waits where something else could run. */
const TAKING_TURNS = "/local/slots/";

/** Files in the usual order, but for those of a running environment. */
export default class FileOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const first = sorted.filter(({ moduleId }) => moduleId.endsWith(FIRST));
    const turns = sorted.filter(({ moduleId }) => moduleId.includes(TAKING_TURNS));
    const others = sorted.filter((file) => !first.includes(file) && !turns.includes(file));
    const alternating = others.flatMap((file, index) => [file, ...turns.slice(index, index + 1)]);
    return [...first, ...alternating, ...turns.slice(others.length)];
  }
}
