import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type PodAnswer = { phase: string } | { status: number } | { page: string } | "garbage" | "hangs";

/** The one address of the Kubernetes API that the cleanup job asks. Unknown pods are 404. */
export interface PodServer {
  readonly url: string;
  readonly answers: Map<string, PodAnswer>;
  /** Paths that were asked for. */
  readonly asked: string[];
  kubeconfig(): object;
  stop(): Promise<void>;
}

export async function startPodServer(): Promise<PodServer> {
  const answers = new Map<string, PodAnswer>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!);
    const name = request.url!.split("/").at(-1)!;
    const answer = answers.get(name) ?? { status: 404 };
    if (answer === "hangs") return;
    response.setHeader("content-type", "application/json");
    if (answer === "garbage") return void response.end("{");
    // Of a server or a path that is none of Kubernetes.
    if ("page" in answer) {
      response.statusCode = 404;
      return void response.end(answer.page);
    }
    if ("status" in answer) {
      response.statusCode = answer.status;
      return void response.end(JSON.stringify({ kind: "Status", code: answer.status }));
    }
    response.end(JSON.stringify({ kind: "Pod", metadata: { name }, status: { phase: answer.phase } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    answers,
    asked,
    kubeconfig: () => ({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      clusters: [{ name: "test", cluster: { server: url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "test", user: {} }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    }),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
