import { join } from "node:path";
import { rm } from "node:fs/promises";

import { must } from "../../../local/command.js";
import { NON_ROOT, builder, directoryLayer, nodeLayer } from "../../../local/images/images.js";
import type { ImageSources } from "../../../local/images/images.js";
import type { BuiltImage } from "../../../local/images/image.js";
import { PROJECT } from "../../../local/paths.js";

/** The image of the system test's workers: Node.js and one bundled program. What is unchanged is kept. */
export async function buildSoakWorker(sources: ImageSources): Promise<BuiltImage> {
  const output = join(sources.directory, "bundles", `soak-worker-${process.pid}`);
  try {
    await must("node", ["test/soak/workload/build.mjs", "--out", output], { cwd: PROJECT });
    return await builder(sources, () => {})({
      name: "soak-worker",
      layers: [await nodeLayer(), await directoryLayer(output, "/app")],
      entrypoint: ["/usr/local/bin/node", "/app/soak-worker.mjs"],
      env: ["HOME=/tmp"],
      user: NON_ROOT,
    });
  } finally {
    await rm(output, { recursive: true, force: true });
  }
}
