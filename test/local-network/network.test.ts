import { describe, expect, it } from "vitest";

import { routedSecondOctets } from "../../local/environment/network.js";

describe("routedSecondOctets", () => {
  it("is none where nothing of 10.0.0.0/8 is routed", () => {
    const routes = [
      { dst: "default", dev: "eth0" },
      { dst: "192.0.2.0/24", dev: "eth0" },
    ];
    expect(routedSecondOctets(routes, "vs0")).toEqual(new Set());
  });

  it("is those that a route covers in whole or in part", () => {
    expect(routedSecondOctets([{ dst: "10.231.7.0/24", dev: "wg0" }], "vs0")).toEqual(new Set([231]));
    expect(routedSecondOctets([{ dst: "10.240.0.9", dev: "wg0" }], "vs0")).toEqual(new Set([240]));
    expect(routedSecondOctets([{ dst: "10.232.0.0/14", dev: "wg0" }], "vs0")).toEqual(
      new Set([232, 233, 234, 235]),
    );
    expect(routedSecondOctets([{ dst: "10.0.0.0/8", dev: "wg0" }], "vs0").size).toBe(256);
  });

  it("leaves out the environment's own routes", () => {
    expect(routedSecondOctets([{ dst: "10.231.0.0/24", dev: "vs0" }], "vs0")).toEqual(new Set());
  });
});
