import http from "node:http";
import https from "node:https";
import { text } from "node:stream/consumers";

/** What is used here of a `KubeConfig` of `@kubernetes/client-node`. */
interface Credentials {
  applyToHTTPSOptions(options: https.RequestOptions): Promise<void>;
}

/** What an API server has answered, whatever its status. */
export interface KubernetesAnswer {
  readonly status: number;
  readonly body: string;
}

/** The server could not be reached, or said nothing in time: nothing is known. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
}

export interface KubernetesRequestOptions {
  /** Default GET. */
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders | undefined;
  /** Given up when nothing has come for so many milliseconds. Default: never. */
  readonly timeout?: number;
  /** Given up after so many milliseconds from when the credentials are there, whatever has come. Default: never. */
  readonly withinMilliseconds?: number;
}

/** As many as one program is to ask an API server at a time. */
const CONNECTIONS = 8;

/**
 * Asks the API of a cluster by the address and credentials of a kubeconfig, over connections that are kept. Not by the
 * client's own classes, which are five megabytes to load, make a connection for each request
 * (kubernetes-client/javascript#2813), and rename fields to those of its models.
 */
export class KubernetesConnection {
  private readonly base: URL;
  private readonly credentials: Credentials;
  /** None where a proxy leads to the server: what the credentials give for a request knows of it. */
  private readonly agent: http.Agent | undefined;

  constructor(
    { server, proxyUrl }: { readonly server: string; readonly proxyUrl?: string },
    credentials: Credentials,
  ) {
    this.base = new URL(server);
    this.credentials = credentials;
    const { Agent } = this.base.protocol === "http:" ? http : https;
    if (proxyUrl === undefined) this.agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  }

  /** Host and port, for messages. */
  get host(): string {
    return this.base.host;
  }

  /**
   * Throws {@link NoAnswerError} also for a request that was given up, and what the credentials throw that can't be had.
   */
  async ask(
    path: string,
    { headers, withinMilliseconds, ...request }: KubernetesRequestOptions = {},
    content?: Buffer,
  ): Promise<KubernetesAnswer> {
    const options: https.RequestOptions = { ...request, headers: {} };
    await this.credentials.applyToHTTPSOptions(options);
    if (this.agent) options.agent = this.agent;
    options.headers = { ...options.headers, accept: "application/json", ...headers };
    if (withinMilliseconds !== undefined) options.signal = AbortSignal.timeout(withinMilliseconds);
    const url = new URL(`${this.base.pathname.replace(/\/$/, "")}${path}`, this.base);
    return new Promise((resolve, reject) => {
      const unreachable = (cause: Error): void => reject(new NoAnswerError(cause.message, { cause }));
      const asked = (url.protocol === "http:" ? http : https).request(url, options, (response) => {
        text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), unreachable);
      });
      asked.on("timeout", () => asked.destroy(new Error(`nothing for ${Number(options.timeout) / 1000} s`)));
      asked.on("error", unreachable);
      asked.end(content);
    });
  }

  close(): void {
    this.agent?.destroy();
  }
}
