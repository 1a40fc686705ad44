import { createConfiguration, ServerConfiguration } from "@kubernetes/client-node";
import type { Configuration, KubeConfig } from "@kubernetes/client-node";
import { kubernetesRequests } from "@video-storage/contract/kubernetes-requests";

/** A client of one part of a cluster's API. Throws where the kubeconfig names no current cluster. */
export function apiClient<Client>(
  config: KubeConfig,
  type: new (configuration: Configuration) => Client,
): Client {
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error("the kubeconfig names no current cluster; choose one with a context");
  return new type(
    createConfiguration({
      baseServer: new ServerConfiguration(cluster.server, {}),
      authMethods: { default: config },
      promiseMiddleware: [kubernetesRequests()],
    }),
  );
}
