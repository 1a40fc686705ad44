// Two namespaces under the restricted Pod Security Standard, a ServiceAccount for each role, and NetworkPolicies that
// deny what no role needs. Their names are the component's to make: it takes none that exist.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { TenantIsolation } from "../../components/tenant-isolation.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });

const isolation = new TenantIsolation(
  "isolation",
  {
    environment: pulumi.getStack(),
    namespace: "encoders",
    systemNamespace: "encoders-system",
    catalogue: { host: "postgres.databases.svc", port: 5432 },
    // What workers fetch from. A wide range leaves private networks and the cloud's metadata out.
    workerEgress: ["203.0.113.0/24"],
    objectStoragePort: null,
    services: [{ name: "scanner", roles: ["worker", "uploader"], host: "clamd.scan.svc", port: 3310 }],
  },
  { provider: cluster },
);

export const namespace = isolation.namespace;
