/** The stack `local` with so many slots, ten to a node, and values of nobody's machine. */
export function withSlots(count: number): Record<string, unknown> {
  const nodes = Array.from({ length: Math.ceil(count / 10) }, (_, id) => ({
    ...{ name: `node-${id}`, id, slots: Math.min(10, count - id * 10), directory: "/mnt/video-jobs" },
  }));
  return {
    context: "bench",
    nodes,
    // Objects are all that is measured: no sweep is to start while they are made.
    fillRate: "1",
    cleanup: { image: image("cleanup"), migrationsImage: image("catalogue"), schedule: "0 5 1 * *" },
    catalogue: { host: "catalogue.example.test" },
    objectStorage: {
      ...{ image: image("minio"), clientImage: image("mc") },
      ...{ node: "node-0", path: "/mnt/video-jobs/object-storage" },
    },
  };
}

function image(name: string): string {
  return `example.test/${name}@sha256:${"0123456789abcdef".repeat(4)}`;
}
