import { KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { podsOfCluster } from "../../cleanup-job/src/pod-liveness.js";
import { startTlsApiServer } from "../support/tls-api-server.js";
import { startPodServer } from "./pod-server.js";
import type { PodAnswer, PodServer } from "./pod-server.js";

let server: PodServer;
let kubeConfig: KubeConfig;

beforeAll(async () => {
  server = await startPodServer();
  kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(JSON.stringify(server.kubeconfig()));
});
afterAll(() => server.stop());

const CASES: [string, PodAnswer | undefined, string][] = [
  ["running", { phase: "Running" }, "alive"],
  ["pending", { phase: "Pending" }, "alive"],
  ["unknown-phase", { phase: "Unknown" }, "alive"],
  ["succeeded", { phase: "Succeeded" }, "dead"],
  ["failed", { phase: "Failed" }, "dead"],
  ["absent", undefined, "dead"],
  ["elsewhere", { page: "404 page not found" }, "unknown"],
  ["another-server", { page: '{"error":"no such route"}' }, "unknown"],
  ["forbidden", { status: 403 }, "unknown"],
  ["ill", { status: 500 }, "unknown"],
  ["garbage", "garbage", "unknown"],
  ["hangs", "hangs", "unknown"],
];

describe("podsOfCluster", () => {
  it.each(CASES)("%s", async (name, answer, expected) => {
    if (answer) server.answers.set(name, answer);
    const problems: string[] = [];
    const onUnknown = (pod: string): void => void problems.push(pod);
    const pods = podsOfCluster("workers", kubeConfig, { timeoutMilliseconds: 300, onUnknown });
    expect(await pods.liveness("workers", name)).toBe(expected);
    expect(problems).toEqual(expected === "unknown" ? [name] : []);
  });

  it("asks once for each pod, in its own namespace only", async () => {
    server.asked.length = 0;
    const pods = podsOfCluster("workers", kubeConfig);
    await Promise.all([pods.liveness("workers", "running"), pods.liveness("workers", "running")]);
    expect(await pods.liveness("elsewhere", "absent")).toBe("unknown");
    expect(server.asked).toEqual(["/api/v1/namespaces/workers/pods/running"]);
  });

  it("keeps its connection over TLS, and comes with its certificate", async () => {
    const phases = ["Running", "Failed", "Pending", "Succeeded", "Running"];
    const cluster = await startTlsApiServer(({ url }, response) =>
      response.end(JSON.stringify({ status: { phase: phases[Number(url!.split("/").at(-1))] } })),
    );
    try {
      const pods = podsOfCluster("workers", cluster.kubeConfig);
      const found: string[] = [];
      for (const name of phases.keys()) found.push(await pods.liveness("workers", String(name)));
      expect(found).toEqual(["alive", "dead", "alive", "dead", "alive"]);
      expect(cluster.clients).toEqual(Array(5).fill("somebody"));
      expect(cluster.connections).toBe(1);
    } finally {
      await cluster.stop();
    }
  });

  it("is unknown when nobody listens", async () => {
    const dead = await startPodServer();
    const config = new KubeConfig();
    config.loadFromString(JSON.stringify(dead.kubeconfig()));
    await dead.stop();
    expect(await podsOfCluster("workers", config).liveness("workers", "any")).toBe("unknown");
  });
});
