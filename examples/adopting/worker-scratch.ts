// One claim for each slot of the nodes, and the quota that lets the namespace claim that much and no more. The
// namespace, the class and the volumes `NAMESPACE-SLOT` are there already.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { slotsOf } from "../../components/lib/slots.js";
import { WorkerScratch } from "../../components/worker-scratch.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });

const scratch = new WorkerScratch(
  "encoders",
  {
    environment: pulumi.getStack(),
    namespace: "encoders",
    storageClass: "scratch-ssd",
    // An id stays with its node and is never given to another: users of files are counted from it.
    slots: slotsOf([
      { name: "node-a", id: 0, slots: 2, directory: "/mnt/scratch" },
      { name: "node-b", id: 1, slots: 2, directory: "/mnt/scratch" },
    ]),
    slotBytes: 400n * 2n ** 30n,
    // What would delete a claim is refused until the engine is told otherwise: unfinished videos lie on it.
    protectData: true,
  },
  { provider: cluster },
);

export const claims = scratch.claims;
