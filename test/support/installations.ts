import { image } from "./local-configuration.js";

/**
 * What only an installation knows, for each stack that isn't local: the keys that docs/environments.md asks
 * for, with values of nobody's.
 */
const EVERYWHERE = {
  tenants: ["acme", "globex"],
  cleanup: { image: image("cleanup-job"), migrationsImage: image("catalogue") },
  catalogue: { host: "catalogue.example.test" },
  monitoring: { image: image("monitor"), pushgatewayImage: image("pushgateway"), operator: true },
};

const ON_AWS = {
  ...EVERYWHERE,
  storage: { preparation: { image: image("node-agent") } },
  objectStorage: {
    probeImage: image("object-storage-probe"),
    accountId: "123456789012",
    region: "eu-west-1",
    bucket: "example-video-storage",
    identity: { kind: "pod-identity", cluster: "example" },
    accessLogBucket: "example-access-logs",
  },
};

export const INSTALLATIONS = {
  dev: { context: "dev", ...ON_AWS },
  staging: { context: "staging", ...ON_AWS },
  production: { context: "production", ...ON_AWS },
  onprem: {
    context: "onprem",
    ...EVERYWHERE,
    storage: {
      preparation: { image: image("node-agent"), devices: ["/dev/disk/by-id/nvme-Example_SSD_*"] },
    },
    nodes: [0, 1, 2].map((index) => ({
      name: `ssd-${index}`,
      id: index,
      slots: 4,
      directory: "/mnt/video-jobs",
      disk: "1920G",
    })),
    objectStorage: {
      probeImage: image("object-storage-probe"),
      endpoint: "https://s3.example.test",
      bucket: "video-storage",
    },
  },
} as const;
