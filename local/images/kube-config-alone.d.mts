import type { Plugin } from "esbuild";

/** For bundles: of `@kubernetes/client-node` what reads a kubeconfig and asks with `node:https`, and nothing else. */
export declare const kubeConfigAlone: Plugin;
