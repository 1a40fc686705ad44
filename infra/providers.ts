import { Provider as AwsProvider } from "@pulumi/aws/provider.js";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { AFTER_A_KILL } from "./after-a-kill.js";
import type { StackSettings } from "./pulumi-config.js";

/** The providers by name, so that no cluster and no account is ever taken from the shell's surroundings. */
export function declareProviders({ config, kubeconfig }: StackSettings): pulumi.ProviderResource[] {
  for (const setting of AFTER_A_KILL) delete process.env[setting];
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
