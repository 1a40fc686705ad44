import { basename } from "node:path";

import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { CATALOGUE_CA_FILE } from "@video-storage/contract/stack-contract";
import type { StackContract } from "@video-storage/contract/stack-contract";

import { childOptions } from "./lib/child-options.js";
import { labels } from "./lib/labels.js";
import { CONTRACT_CONFIG_MAP } from "./lib/mounts.js";

export interface ContractArgs {
  /** What workers are told; read it with `parseStackContract`, which refuses what they would. */
  readonly contract: StackContract;
  /** PEM of the authorities at the contract's catalogue.caFile; null where it has none. */
  readonly catalogueCa?: string | null;
}

/**
 * The stack's contract as a ConfigMap in the workers' namespace; the stack's outputs carry the same fields.
 * It should depend on all that it speaks of, so that whoever finds it finds that too.
 */
export class Contract extends pulumi.ComponentResource {
  /** Name of the ConfigMap: `video-storage-contract`. */
  readonly configMap: pulumi.Output<string>;

  constructor(name: string, args: ContractArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:Contract", name, {}, opts);
    const configMap = new k8s.core.v1.ConfigMap(
      `${name}-config`,
      buildContractConfigMap(args.contract, args.catalogueCa),
      childOptions(this, opts),
    );
    this.configMap = configMap.metadata.name;
    this.registerOutputs({ configMap: this.configMap });
  }
}

export function buildContractConfigMap(contract: StackContract, catalogueCa: string | null = null) {
  return {
    metadata: {
      name: CONTRACT_CONFIG_MAP,
      namespace: contract.namespace,
      labels: labels(contract.environment, "contract"),
    },
    data: {
      "contract.json": `${JSON.stringify(contract, undefined, 2)}\n`,
      ...(catalogueCa !== null && { [basename(CATALOGUE_CA_FILE)]: catalogueCa }),
    },
  };
}
