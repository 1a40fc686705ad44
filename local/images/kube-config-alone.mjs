// For programs that take from the client of Kubernetes only how a cluster is reached.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Directory of the client's modules. */
const CLIENT = dirname(createRequire(import.meta.url).resolve("@kubernetes/client-node"));
const LEFT_OUT = "left-out";

/**
 * Of `@kubernetes/client-node`, leaves `KubeConfig`, whose `applyToHTTPSOptions` gives `node:https` what it needs to ask:
 * half a megabyte of five, and half of the processor time that a program takes to load it. Of the API's thousand classes,
 * which that module imports for two, there are none, and none of a second HTTP client: what uses it throws.
 * @type {import("esbuild").Plugin}
 */
export const kubeConfigAlone = {
  name: "kube-config-alone",
  setup(build) {
    build.onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path: join(CLIENT, "config.js") }));
    build.onLoad({ filter: /\/@kubernetes\/client-node\/dist\/gen\/index\.js$/ }, ({ path }) => ({
      resolveDir: dirname(path),
      contents: `export { createConfiguration } from "./configuration.js";
        export { ServerConfiguration } from "./servers.js";`,
    }));
    build.onResolve({ filter: /^undici$/ }, ({ path }) => ({ path, namespace: LEFT_OUT }));
    build.onLoad({ filter: /.*/, namespace: LEFT_OUT }, () => ({
      contents: `function leftOut() { throw new Error("undici is left out of this program: ask with node:https"); }
        export { leftOut as Agent, leftOut as ProxyAgent, leftOut as buildConnector, leftOut as fetch };`,
    }));
  },
};
