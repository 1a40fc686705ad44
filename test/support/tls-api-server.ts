import { mkdtemp, rm } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";

import { KubeConfig } from "@kubernetes/client-node";

import { CertificateAuthority } from "../../local/environment/certificates.js";

/** A server that is reached as a cluster's API is: by TLS, with a client's certificate. */
export interface TlsApiServer {
  readonly kubeConfig: KubeConfig;
  /** How many connections were made. */
  readonly connections: number;
  /** By whose certificate each request came. */
  readonly clients: readonly string[];
  stop(): Promise<void>;
}

export async function startTlsApiServer(answer: RequestListener): Promise<TlsApiServer> {
  const directory = await mkdtemp(join(tmpdir(), "video-storage-tls-api-"));
  const authority = await CertificateAuthority.open(directory);
  const ours = await authority.issue("server", { name: "server", hosts: ["127.0.0.1"] });
  const theirs = await authority.issue("client", { name: "somebody" });
  const clients: string[] = [];
  let connections = 0;
  const server = createServer(
    {
      ...{ cert: ours.certificate, key: ours.key, ca: authority.certificate },
      ...{ requestCert: true, rejectUnauthorized: true },
    },
    (request, response) => {
      clients.push((request.socket as TLSSocket).getPeerCertificate().subject.CN as string);
      response.setHeader("content-type", "application/json");
      answer(request, response);
    },
  );
  server.on("secureConnection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const encoded = (text: string): string => Buffer.from(text).toString("base64");
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromOptions({
    clusters: [{ name: "c", server: `https://127.0.0.1:${port}`, caData: encoded(authority.certificate) }],
    users: [{ name: "u", certData: encoded(theirs.certificate), keyData: encoded(theirs.key) }],
    contexts: [{ name: "c", cluster: "c", user: "u" }],
    currentContext: "c",
  });
  return {
    kubeConfig,
    clients,
    get connections() {
      return connections;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true });
    },
  };
}
