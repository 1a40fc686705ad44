import { at, kindOf } from "../model";
import type { StackRule } from "../model";

export const claimClassBindsLate: StackRule = {
  name: "claim-class-binds-late",
  description:
    "The class of a claim waits for the first consumer: one that binds at once may choose a node that the pod can't run on.",
  level: "mandatory",
  severity: "high",
  checkStack(resources) {
    const used = new Set(
      resources
        .filter((resource) => kindOf(resource) === "PersistentVolumeClaim")
        .map((claim) => at(claim.props, "spec", "storageClassName")),
    );
    return resources
      .filter(
        (resource) => kindOf(resource) === "StorageClass" && used.has(at(resource.props, "metadata", "name")),
      )
      .filter((storageClass) => at(storageClass.props, "volumeBindingMode") !== "WaitForFirstConsumer")
      .map((storageClass) => ({
        urn: storageClass.urn,
        message:
          `volumeBindingMode is ${String(at(storageClass.props, "volumeBindingMode") ?? "not set, which means Immediate")}; ` +
          "set WaitForFirstConsumer",
      }));
  },
};
