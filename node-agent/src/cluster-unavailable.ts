/** Kubernetes can't be asked, or refuses. */
export class ClusterUnavailableError extends Error {
  override readonly name = "ClusterUnavailableError";
}
