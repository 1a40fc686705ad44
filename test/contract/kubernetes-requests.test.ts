import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";

import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { kubernetesRequests } from "@video-storage/contract/kubernetes-requests";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { apiClient } from "../../local/api-client.js";
import { CertificateAuthority } from "../../local/environment/certificates.js";

describe("a client of Kubernetes over TLS", () => {
  let directory: string;
  let server: Server;
  const config = new KubeConfig();
  const names: string[] = [];
  let connections = 0;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "kubernetes-requests-"));
    const authority = await CertificateAuthority.open(directory);
    const ours = await authority.issue("server", { name: "server", hosts: ["127.0.0.1"] });
    const theirs = await authority.issue("client", { name: "somebody" });
    const tls = { cert: ours.certificate, key: ours.key, ca: authority.certificate, requestCert: true };
    server = createServer(tls, ({ socket }, response) => {
      names.push((socket as TLSSocket).getPeerCertificate().subject.CN as string);
      response.setHeader("content-type", "application/json").end(JSON.stringify({ metadata: {} }));
    });
    server.on("secureConnection", () => connections++);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const encoded = (text: string): string => Buffer.from(text).toString("base64");
    config.loadFromOptions({
      clusters: [{ name: "c", server: `https://127.0.0.1:${port}`, caData: encoded(authority.certificate) }],
      users: [{ name: "u", certData: encoded(theirs.certificate), keyData: encoded(theirs.key) }],
      contexts: [{ name: "c", cluster: "c", user: "u" }],
      currentContext: "c",
    });
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  });

  it("keeps its connection, by which the server knows it", async () => {
    const core = apiClient(config, CoreV1Api);
    for (let asked = 0; asked < 5; asked++) await core.readNamespace({ name: "default" });
    expect(names).toEqual(Array(5).fill("somebody"));
    // A second one, where the first isn't free again yet when the next request is made.
    expect(connections).toBeLessThanOrEqual(2);
  });

  it("would make one for each request by itself, or this is needed no more", async () => {
    connections = 0;
    const core = config.makeApiClient(CoreV1Api);
    for (let asked = 0; asked < 5; asked++) await core.readNamespace({ name: "default" });
    expect(connections).toBe(5);
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
