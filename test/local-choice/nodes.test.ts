import type { V1Node } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";

import { chooseNode, usableNodes } from "../../local/environment/hosted/nodes.js";
import { asRange } from "../../local/environment/hosted/video-source.js";

function node(name: string, spec: V1Node["spec"] = {}, ready = "True", architecture = "amd64"): V1Node {
  return {
    metadata: { name, labels: { "kubernetes.io/hostname": `${name}-host` } },
    spec,
    status: {
      conditions: [{ type: "Ready", status: ready }],
      nodeInfo: { architecture, operatingSystem: "linux" },
    },
  } as unknown as V1Node;
}

describe("the node that has the slots", () => {
  it("is one that takes pods and runs this machine's programs, known by its host name", () => {
    const taint = (effect: string) => ({ taints: [{ key: "k", effect }] });
    const nodes = [
      node("b"),
      node("a", taint("PreferNoSchedule")),
      node("control", taint("NoSchedule")),
      node("draining", { unschedulable: true }),
      node("broken", {}, "False"),
      node("arm", {}, "True", "arm64"),
    ];
    expect(usableNodes(nodes, "x64")).toEqual(["a-host", "b-host"]);
    expect(usableNodes(nodes, "arm64")).toEqual(["arm-host"]);
  });

  it("is the first, and then the same as before", () => {
    expect(chooseNode(undefined, ["a", "b"])).toBe("a");
    expect(chooseNode("b", ["a", "b"])).toBe("b");
  });

  it("is nobody else when it has gone or there is none", () => {
    expect(() => chooseNode("b", ["a"])).toThrow(
      "The node b, which has this environment's slots, is not ready for pods.",
    );
    expect(() => chooseNode(undefined, [])).toThrow("The cluster has no ready, schedulable Linux node");
  });

  it("gives policies an address of either family", () => {
    expect(asRange("10.1.2.3")).toBe("10.1.2.3/32");
    expect(asRange("fd00::7")).toBe("fd00::7/128");
  });
});
