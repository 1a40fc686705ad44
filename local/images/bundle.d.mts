import type { Plugin } from "esbuild";

export interface BundleOptions {
  readonly entry: string;
  readonly directory: string;
  readonly name: string;
  readonly locks?: boolean;
  readonly copy?: readonly string[];
  /** Default "node24". */
  readonly target?: string;
  /** Whether what is imported where it is needed becomes a file of its own. Default true. */
  readonly splitting?: boolean;
  readonly threads?: Readonly<Record<string, string>>;
  readonly plugins?: Plugin[];
  /** Files of what is put beside the bundle, for its licences to go along. */
  readonly beside?: readonly string[];
}

export declare function bundle(options: BundleOptions): Promise<void>;
