import { UNKNOWN } from "../../../policies/model";
import type { ResourceView } from "../../../policies/model";
import {
  FULL_QUOTA,
  claim,
  describeRules,
  kubernetes,
  pod,
  podSpec,
  quota,
  storageClass,
} from "../examples.js";

const volume = (change: Record<string, unknown> = {}) =>
  kubernetes("core/v1", "PersistentVolume", {
    metadata: { name: "v" },
    spec: {
      capacity: { storage: "1Gi" },
      storageClassName: "fast",
      persistentVolumeReclaimPolicy: "Retain",
      local: { path: "/mnt/slot-0" },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: ["node-0"] }] },
          ],
        },
      },
      ...change,
    },
  });
/** A local volume whose terms, each enough by itself, are these. */
const pinnedBy = (...nodeSelectorTerms: Record<string, unknown>[]) =>
  volume({ nodeAffinity: { required: { nodeSelectorTerms } } });
const expression = (operator: string, values: unknown, key = "kubernetes.io/hostname") => ({
  matchExpressions: [{ key, operator, values }],
});
const claimSpec = (change: Record<string, unknown> = {}) => claim(change).props["spec"];
const statefulSet = (change: Record<string, unknown>, replicas: unknown = 2) =>
  kubernetes("apps/v1", "StatefulSet", {
    metadata: { name: "s", namespace: "jobs" },
    spec: { replicas, volumeClaimTemplates: [{ metadata: { name: "data" }, spec: claimSpec(change) }] },
  });
const ephemeral = (change: Record<string, unknown>) =>
  pod(
    podSpec({
      volumes: [{ name: "scratch", ephemeral: { volumeClaimTemplate: { spec: claimSpec(change) } } }],
    }),
  );
const skipping = claim({}, "jobs", { protect: false });
const annotated = {
  ...skipping,
  props: {
    ...skipping.props,
    metadata: { ...(skipping.props["metadata"] as object), annotations: { "pulumi.com/skipAwait": "true" } },
  },
};
const csi = (change: Record<string, unknown> = {}) =>
  storageClass({ provisioner: "topolvm.io", mountOptions: ["noexec", "nodev", "nosuid"], ...change });

describeRules("volumes", {
  "claim-bounded": {
    pass: [
      [claim()],
      [claim({ accessModes: ["ReadWriteOncePod"] })],
      [pod()],
      [claim({ resources: { requests: { storage: UNKNOWN } } })],
      [statefulSet({}), ephemeral({})],
    ],
    fail: [
      [[statefulSet({ storageClassName: "" })], "volumeClaimTemplates/data: the claim takes whatever class"],
      [[ephemeral({ resources: undefined })], "volumes/scratch: the claim asks for no size"],
      [[claim({ resources: undefined })], "asks for no size"],
      [[claim({ resources: { requests: { storage: "17Ti" } } })], "asks for 17Ti; allowed is 1Mi to 16Ti"],
      [[claim({ resources: { requests: { storage: "1Ki" } } })], "allowed is 1Mi to 16Ti"],
      [[claim({ resources: { requests: { storage: "much" } } })], "much, which is no size"],
      [[claim({ storageClassName: undefined })], "set spec.storageClassName"],
      [[claim({ storageClassName: "" })], "set spec.storageClassName"],
      [[claim({ accessModes: ["ReadWriteOnce", "ReadWriteMany"] })], "use ReadWriteOnce"],
      [[claim({ accessModes: undefined })], "use ReadWriteOnce"],
    ],
  },
  "claim-class-binds-late": {
    pass: [
      [claim(), storageClass()],
      [claim(), storageClass(), storageClass({ volumeBindingMode: "Immediate" }, "unused")],
      [claim({ storageClassName: "theirs" })],
      [statefulSet({}), storageClass()],
    ],
    fail: [
      [[statefulSet({}), storageClass({ volumeBindingMode: "Immediate" })], "volumeBindingMode is Immediate"],
      [
        [ephemeral({ storageClassName: "strange" }), storageClass()],
        "volumes/scratch: the class strange is neither the stack's nor allowed",
      ],
      [[claim(), storageClass({ volumeBindingMode: "Immediate" })], "volumeBindingMode is Immediate"],
      [
        [claim(), storageClass({ volumeBindingMode: undefined })],
        "volumeBindingMode is not set (without it: Immediate)",
      ],
      [
        [claim({ storageClassName: "strange" }), storageClass()],
        "strange is neither the stack's nor allowed; allowed are theirs",
      ],
    ],
    limits: { allowedStorageClasses: ["theirs"] },
  },
  "claim-namespace-has-quota": {
    pass: [
      [claim(), quota(FULL_QUOTA)],
      [quota(FULL_QUOTA)],
      [claim(), quota({ "limits.memory": "1Gi" }), quota(FULL_QUOTA)],
      [statefulSet({}, UNKNOWN), quota(FULL_QUOTA)],
    ],
    fail: [
      [[statefulSet({})], "namespace jobs has no ResourceQuota"],
      [[ephemeral({})], "namespace jobs has no ResourceQuota"],
      [
        [statefulSet({}), quota({ ...FULL_QUOTA, persistentvolumeclaims: "2" })],
        "the claims ask for 2147483648 bytes together",
      ],
      [[statefulSet({}), quota({ ...FULL_QUOTA, "requests.storage": "2Gi" })], "there are 2 claims"],
      [[claim()], "namespace jobs has no ResourceQuota"],
      [[claim({}, "other"), quota(FULL_QUOTA)], "namespace other has no ResourceQuota"],
      [[claim(), quota({ "requests.storage": "1Gi" })], "on requests.storage and persistentvolumeclaims"],
      [[claim(), quota({ ...FULL_QUOTA, "requests.storage": "1Mi" })], "requests.storage allows 1048576"],
      [[claim(), claim(), quota({ ...FULL_QUOTA, "requests.storage": "2Gi" })], "there are 2 claims"],
    ],
  },
  "claim-not-awaited": {
    pass: [
      [annotated, storageClass()],
      [skipping, storageClass({ volumeBindingMode: "Immediate" })],
      [claim(), storageClass()],
    ],
    fail: [[[skipping, storageClass()], "annotate it with pulumi.com/skipAwait"]],
  },
  "class-safe": {
    pass: [
      [storageClass()],
      [csi()],
      [csi({ reclaimPolicy: "Delete", allowVolumeExpansion: true })],
      [csi({ provisioner: "ebs.csi.aws.com", parameters: { encrypted: "true" } })],
      [csi({ mountOptions: ["exec,noexec", "nodev,nosuid"] })],
    ],
    fail: [
      [
        [storageClass({ provisioner: "kubernetes.io/aws-ebs", mountOptions: ["noexec", "nodev", "nosuid"] })],
        "provisioner is kubernetes.io/aws-ebs; allowed are",
      ],
      [[storageClass({ reclaimPolicy: undefined })], "reclaimPolicy is not set, which means Delete"],
      [[storageClass({ allowVolumeExpansion: true })], "nothing here can expand a volume"],
      [[csi({ mountOptions: ["nodev"] })], "mountOptions lack noexec, nosuid"],
      [
        [csi({ mountOptions: ["noexec", "nodev", "nosuid", "exec", "suid", "dev"] })],
        "mountOptions lack noexec, nodev, nosuid, or take them back",
      ],
      [[csi({ provisioner: "ebs.csi.aws.com" })], 'parameters.encrypted is not set; set it to "true"'],
      [[csi({ parameters: { encrypted: "false" } })], 'parameters.encrypted is not "true"'],
      ...["storageclass.kubernetes.io", "storageclass.beta.kubernetes.io"].map(
        (group): [ResourceView[], string] => [
          [
            storageClass({
              metadata: { name: "fast", annotations: { [`${group}/is-default-class`]: "true" } },
            }),
          ],
          "it is the default class",
        ],
      ),
    ],
  },
  "volume-pinned": {
    pass: [
      [volume()],
      [volume({ local: undefined, nodeAffinity: undefined, csi: { driver: "x" } })],
      [pinnedBy({ matchFields: [{ key: "metadata.name", operator: "In", values: ["node-0"] }] })],
      [pinnedBy(expression("In", [UNKNOWN]))],
      [volume({ nodeAffinity: UNKNOWN })],
    ],
    fail: [
      [[pinnedBy(expression("In", ["a"]), expression("Exists", undefined))], "it names no node, or more"],
      [[pinnedBy(expression("In", ["a"]), expression("In", ["b"]))], "it names no node, or more than one"],
      [[pinnedBy(expression("In", ["a", "b"]))], "it names no node, or more than one"],
      [[pinnedBy(expression("In", ["a"], "topology.kubernetes.io/zone"))], "it names no node"],
      [[volume({ persistentVolumeReclaimPolicy: "Delete" })], "is Delete; write Retain"],
      [[volume({ local: undefined, hostPath: { path: "/mnt" } })], "it is a hostPath"],
      [[volume({ nodeAffinity: undefined })], "it names no node"],
      [[volume({ persistentVolumeReclaimPolicy: "Recycle" })], "persistentVolumeReclaimPolicy is Recycle"],
      [[volume({ storageClassName: "" })], "it has no class"],
      [[volume({ capacity: undefined })], "it has no size"],
    ],
  },
});
