import { describe, expect, it } from "vitest";

import { Failure } from "../../local/failure.js";
import { routedSecondOctets, secondOctetFor } from "../../local/environment/network.js";

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

describe("the range of an environment", () => {
  const taken = new Set([231, 233]);

  it("is the first that is free, and is kept while it is", () => {
    expect(secondOctetFor(undefined, taken)).toBe(232);
    expect(secondOctetFor({ second: 240, used: false }, taken)).toBe(240);
    expect(secondOctetFor({ second: 240, used: true }, taken)).toBe(240);
  });

  it("is another one where the start that chose it was killed before it had it, and somebody else took it", () => {
    expect(secondOctetFor({ second: 233, used: false }, taken)).toBe(232);
  });

  it("is refused where somebody else took what the environment was made with, or everything", () => {
    expect(() => secondOctetFor({ second: 233, used: true }, taken)).toThrow(
      new Failure(
        "10.233.0.0/16, which this environment was made with, is now routed elsewhere on this machine.",
        "Free it (ip route), or run npm run destroy and start anew.",
      ),
    );
    const all = new Set(Array.from({ length: 256 }, (_, second) => second));
    expect(() => secondOctetFor(undefined, all)).toThrow(/^Every range from 10\.231\.0\.0\/16 to 10\./);
  });
});
