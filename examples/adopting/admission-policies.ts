// The API server refuses, in two namespaces of yours, claims without a quota or of another class, pods that mount
// their node, and local volumes without one. Needs Kubernetes 1.30.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { AdmissionPolicies } from "../../components/admission-policies.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });

new AdmissionPolicies(
  "guard",
  {
    environment: pulumi.getStack(),
    // Policies are cluster-wide, so their names begin with something of yours.
    prefix: "encoders",
    namespaces: ["encoders", "encoders-system"],
    storageClasses: ["scratch-ssd"],
  },
  { provider: cluster },
);
