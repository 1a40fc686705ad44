import { expect, it } from "vitest";

import { withSlots } from "../../bench/stack/configuration.js";
import { render } from "../../infra/render.js";

it("the stack that the benchmarks render is a valid one, with as many claims as slots", async () => {
  const { manifests } = await render({ stack: "local", config: withSlots(12) });
  const claims = manifests.filter(({ id }) => id.startsWith("PersistentVolumeClaim/video-jobs/"));
  expect(claims).toHaveLength(12);
});
