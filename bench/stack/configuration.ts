import { image, LOCAL_CONFIGURATION } from "../../test/support/local-configuration.js";

/** The stack `local` with so many slots, ten to a node, and values of nobody's machine. */
export function withSlots(count: number): Record<string, unknown> {
  const nodes = Array.from({ length: Math.ceil(count / 10) }, (_, id) => ({
    ...{ name: `node-${id}`, id, slots: Math.min(10, count - id * 10), directory: "/mnt/video-jobs" },
  }));
  return {
    ...LOCAL_CONFIGURATION,
    nodes,
    // Objects are all that is measured: no sweep is to start while they are made.
    fillRate: "1",
    cleanup: { image: image("cleanup"), migrationsImage: image("catalogue"), schedule: "0 5 1 * *" },
  };
}
