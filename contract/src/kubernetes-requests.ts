/** What is set here of a request that `@kubernetes/client-node` is about to make. */
interface KubernetesRequest {
  getDispatcher(): unknown;
  setDispatcher(dispatcher: unknown): void;
  setSignal(signal: AbortSignal): void;
}

/** Settings of connections, such as the cluster's authority, may change while a program goes on. */
const KEPT_MILLISECONDS = 60_000;

/**
 * Middleware for a client of Kubernetes (`promiseMiddleware` of `createConfiguration`): its requests share connections,
 * and each is given up after a time, by default never. By itself the client opens a connection for each request, with
 * TLS and both sides' certificates (kubernetes-client/javascript#2813), and leaves it open for seconds: six milliseconds
 * of a processor here and some three at a server. Connections are taken anew after a minute, so that changed
 * credentials and authorities are used.
 */
export function kubernetesRequests({ timeoutMilliseconds }: { readonly timeoutMilliseconds?: number } = {}) {
  let kept: unknown;
  let keptUntil = 0;
  return {
    async pre<Request extends KubernetesRequest>(request: Request): Promise<Request> {
      if (performance.now() >= keptUntil) {
        kept = request.getDispatcher();
        keptUntil = performance.now() + KEPT_MILLISECONDS;
      }
      // There is none for a server without TLS, whose connections Node.js keeps itself.
      if (kept !== undefined) request.setDispatcher(kept);
      if (timeoutMilliseconds !== undefined) request.setSignal(AbortSignal.timeout(timeoutMilliseconds));
      return request;
    },
    post: async <Response>(response: Response): Promise<Response> => response,
  };
}
