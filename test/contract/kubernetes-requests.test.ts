import { CoreV1Api } from "@kubernetes/client-node";
import { kubernetesRequests } from "@video-storage/contract/kubernetes-requests";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { apiClient } from "../../local/api-client.js";
import { startTlsApiServer } from "../support/tls-api-server.js";
import type { TlsApiServer } from "../support/tls-api-server.js";

describe("a client of Kubernetes over TLS", () => {
  let server: TlsApiServer;
  beforeEach(async () => {
    server = await startTlsApiServer((_, response) => response.end(JSON.stringify({ metadata: {} })));
  });
  afterEach(() => server.stop());

  it("keeps its connection, by which the server knows it", async () => {
    const core = apiClient(server.kubeConfig, CoreV1Api);
    for (let asked = 0; asked < 5; asked++) await core.readNamespace({ name: "default" });
    expect(server.clients).toEqual(Array(5).fill("somebody"));
    // A second one, where the first isn't free again yet when the next request is made.
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  it("would make one for each request by itself, or this is needed no more", async () => {
    const core = server.kubeConfig.makeApiClient(CoreV1Api);
    for (let asked = 0; asked < 5; asked++) await core.readNamespace({ name: "default" });
    expect(server.connections).toBe(5);
  });
});

describe("requests to Kubernetes", () => {
  const request = (dispatcher: unknown) => {
    const made = { dispatcher, signal: undefined as AbortSignal | undefined };
    return Object.assign(made, {
      getDispatcher: () => made.dispatcher,
      setDispatcher: (other: unknown) => void (made.dispatcher = other),
      setSignal: (signal: AbortSignal) => void (made.signal = signal),
    });
  };

  it("share connections for a minute, and then the next one's, whose settings may have changed", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const { pre } = kubernetesRequests();
      const used = async (own: string): Promise<unknown> => (await pre(request(own))).dispatcher;
      expect([await used("first"), await used("second")]).toEqual(["first", "first"]);
      vi.advanceTimersByTime(59_999);
      expect(await used("third")).toBe("first");
      vi.advanceTimersByTime(1);
      expect([await used("fourth"), await used("fifth")]).toEqual(["fourth", "fourth"]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("are left as they are where there is no TLS, and without a time to give up", async () => {
    const { dispatcher, signal } = await kubernetesRequests().pre(request(undefined));
    expect([dispatcher, signal]).toEqual([undefined, undefined]);
  });

  it("are given up after the time that was given", async () => {
    const { signal } = await kubernetesRequests({ timeoutMilliseconds: 5 }).pre(request("one"));
    await expect.poll(() => signal!.aborted).toBe(true);
    expect((signal!.reason as Error).name).toBe("TimeoutError");
  });
});
