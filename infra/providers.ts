import { Provider as AwsProvider } from "@pulumi/aws/provider.js";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import type { StackSettings } from "./pulumi-config.js";

/**
 * For one run after a killed engine (docs/environments.md). The provider's plugin reads them from its own surroundings;
 * the SDK would write them into the state too, and the next run would have the provider to change.
 */
const OF_ONE_RUN = ["PULUMI_K8S_UPSERT_EXISTING_OBJECTS", "PULUMI_K8S_ENABLE_PATCH_FORCE"];

/** The providers by name, so that no cluster and no account is ever taken from the shell's surroundings. */
export function declareProviders({ config, kubeconfig }: StackSettings): pulumi.ProviderResource[] {
  for (const setting of OF_ONE_RUN) delete process.env[setting];
  const cluster = new k8s.Provider("cluster", {
    kubeconfig,
    context: config.context,
    // A renewed kubeconfig is the same cluster; without this every resource would be replaced.
    clusterIdentifier: config.context,
    // Changed where they are: a pod that starts between a deletion and a creation would find nothing.
    enableConfigMapMutable: true,
    enableSecretMutable: true,
  });
  const storage = config.objectStorage;
  const aws =
    storage.backend === "aws"
      ? // Credentials of another account touch nothing.
        [new AwsProvider("aws", { region: storage.region, allowedAccountIds: [storage.accountId] })]
      : [];
  return [cluster, new random.Provider("random"), ...aws];
}
