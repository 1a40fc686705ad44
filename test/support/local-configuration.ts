/** What `npm start` would add to Pulumi.local.yaml, with values of no machine. */
export const LOCAL_CONFIGURATION = {
  context: "local",
  nodes: [{ name: "node-0", id: 0, slots: 3, directory: "/mnt/video-jobs" }],
  cleanup: { image: image("cleanup-job"), migrationsImage: image("catalogue") },
  catalogue: { host: "10.231.0.2" },
  monitoring: { image: image("monitor"), pushgatewayImage: image("pushgateway") },
  objectStorage: {
    image: image("minio"),
    clientImage: image("mc"),
    probeImage: image("object-storage-probe"),
    node: "node-0",
    path: "/mnt/video-jobs/object-storage",
  },
};

export const LOCAL_SECRETS = {
  kubeconfig: "kubeconfig-of-the-test",
  catalogueAdminUrl: "postgresql://admin:hunter2-of-the-test@10.231.0.2/storage",
};

/** An image by digest. */
export function image(name: string): string {
  return `example.test/${name}@sha256:${"0123456789abcdef".repeat(4)}`;
}
