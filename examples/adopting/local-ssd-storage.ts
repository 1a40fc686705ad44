// A StorageClass for local SSD, and volumes on filesystems that somebody has made and mounted on two nodes already.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { LocalSsdStorage } from "../../components/local-ssd-storage.js";

const config = new pulumi.Config();
const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });

const scratch = new LocalSsdStorage(
  "scratch",
  {
    environment: pulumi.getStack(),
    className: "scratch-ssd",
    mode: "static",
    volumes: ["node-a", "node-b"].map((node) => ({
      name: `scratch-${node}`,
      node,
      // Its filesystem is what makes the size hard; the class alone limits nothing.
      path: "/mnt/scratch/slot-0",
      bytes: 400n * 2n ** 30n,
      // Any claim of the class may bind it. Nobody wipes it afterwards: the node agent would, with `onRelease: "wipe"`.
      claim: null,
    })),
    protectData: true,
  },
  { provider: cluster },
);

export const storageClass = scratch.className;
