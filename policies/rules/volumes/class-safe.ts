import type { ResourceRule } from "../../model";
import { at, entries, is, isSet, kindOf, shown, texts, UNKNOWN } from "../../model";

const NO_PROVISIONER = "kubernetes.io/no-provisioner";
/** What is wanted, and what takes it back: of the two, the last one counts. */
const WANTED_OPTIONS = { noexec: "exec", nodev: "dev", nosuid: "suid" };
const IS_DEFAULT = /^storageclass\.(?:beta\.)?kubernetes\.io\/is-default-class$/;

export const classSafe: ResourceRule = {
  name: "class-safe",
  subject: "volumes",
  description:
    "A StorageClass names a provisioner that is supported, says what becomes of a released volume, and lets nothing on it be executed.",
  level: "mandatory",
  severity: "high",
  limits: ["allowedProvisioners"],
  appliesTo: (resource) => kindOf(resource) === "StorageClass",
  check({ props }, { allowedProvisioners }) {
    const provisioner = props["provisioner"];
    const problems: string[] = [];
    if (!is(provisioner, ...allowedProvisioners)) {
      problems.push(`provisioner is ${shown(provisioner)}; allowed are ${allowedProvisioners.join(", ")}`);
    }
    if (!is(props["reclaimPolicy"], "Retain", "Delete")) {
      problems.push(
        `reclaimPolicy is ${shown(props["reclaimPolicy"])}, which means Delete; write Retain, or Delete if that is meant`,
      );
    }
    if (provisioner === NO_PROVISIONER && props["allowVolumeExpansion"] === true) {
      problems.push("allowVolumeExpansion is true and nothing here can expand a volume; leave it out");
    }
    const options = props["mountOptions"];
    // A local volume is mounted before Kubernetes sees it, by whoever prepares the node, with these options.
    if (provisioner !== NO_PROVISIONER && options !== UNKNOWN) {
      const given = texts(options).flatMap((option) => option.split(","));
      const missing = Object.entries(WANTED_OPTIONS)
        .filter((pair) => given.findLast((option) => pair.includes(option)) !== pair[0])
        .map(([option]) => option);
      if (missing.length > 0)
        problems.push(`mountOptions lack ${missing.join(", ")}, or take them back; add them at the end`);
    }
    const standard = entries(at(props, "metadata", "annotations")).some(
      ([key, value]) => IS_DEFAULT.test(key) && value === "true",
    );
    if (standard)
      problems.push("it is the default class, so claims of strangers land on it; leave the annotation out");
    if (isSet(at(props, "parameters", "encrypted")) && !is(at(props, "parameters", "encrypted"), "true")) {
      problems.push('parameters.encrypted is not "true"; encrypt the volumes');
    } else if (provisioner === "ebs.csi.aws.com" && !isSet(at(props, "parameters", "encrypted"))) {
      problems.push('parameters.encrypted is not set; set it to "true"');
    }
    return problems;
  },
};
