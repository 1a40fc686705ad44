// Node agents that cut the NVMe disks of two nodes into encrypted slots, mount them, and wipe what claims release;
// beside the class and the volumes that are then claimed.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { slotInodes } from "@video-storage/contract/slot-filesystem";

import { LocalSsdStorage } from "../../components/local-ssd-storage.js";
import { NodePreparation } from "../../components/node-preparation.js";

const config = new pulumi.Config();
const providers = [
  new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") }),
  new random.Provider("random"),
];

const environment = pulumi.getStack();
const directory = "/mnt/scratch";
const bytes = 400n * 2n ** 30n;
const nodes = ["node-a", "node-b"];
const slots = ["slot-0", "slot-1"];

const storage = new LocalSsdStorage(
  "scratch",
  {
    environment,
    className: "scratch-ssd",
    mode: "static",
    volumes: nodes.flatMap((node) =>
      slots.map((slot) => ({
        name: `scratch-${node}-${slot}`,
        node,
        // Its last part is the slot's name in the agent's settings.
        path: `${directory}/${slot}`,
        bytes,
        claim: null,
        onRelease: "wipe" as const,
      })),
    ),
  },
  { providers },
);

const ofNode = {
  directory,
  slots: slots.map((name) => ({ name, bytes: Number(bytes), user: 1000, group: 1000, mode: "0750" })),
};
new NodePreparation(
  "nodes",
  {
    environment,
    // Its own, and privileged: nothing else may run there.
    namespace: "scratch-nodes",
    image: config.require("nodeAgentImage"),
    groups: [
      {
        name: "nvme",
        nodeSelector: {},
        hostnames: nodes,
        tolerations: [],
        settings: {
          medium: { kind: "devices", patterns: ["/dev/disk/by-id/nvme-Vendor_Model_*"] },
          layout: {
            kind: "slots",
            filesystem: "ext4",
            inodes: slotInodes(Number(bytes)),
            nodes: Object.fromEntries(nodes.map((node) => [node, ofNode])),
          },
          encryption: { kind: "luks", key: "secret" },
          volumes: { storageClass: "scratch-ssd", owner: "declared", pool: null, wipeDelaySeconds: 0 },
          vanishedNodes: { graceSeconds: 600, claims: "keep" },
        },
      },
    ],
    key: "generated",
    protectKey: true,
  },
  { providers, dependsOn: [storage.storageClass] },
);
