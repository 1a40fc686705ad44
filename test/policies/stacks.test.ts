import { describe, expect, it, vi } from "vitest";

import { unwrapped } from "../../infra/recording-monitor.js";
import { render } from "../../infra/render.js";
import { RULES } from "../../policies/pack";
import { INSTALLATIONS } from "../support/installations.js";

// A rendering is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

describe.each(Object.entries(INSTALLATIONS))("stack %s", (stack, config) => {
  it("breaks none of the policies", async () => {
    const { resources } = await render({ stack, config });
    const views = resources.map(({ urn, type, inputs }) => ({ urn, type, props: unwrapped(inputs) }));
    const messages = RULES.flatMap((rule) =>
      "check" in rule
        ? views.flatMap((view) => rule.check(view).map((message) => `${view.urn}: ${message}`))
        : rule.checkStack(views).map(({ urn, message }) => `${urn}: ${message}`),
    );
    expect(messages).toEqual([]);
    expect(views.length).toBeGreaterThan(30);
  });
});
