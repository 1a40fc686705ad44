import { at, kindOf } from "../model";
import type { StackRule } from "../model";

const LIMITS = ["requests.storage", "persistentvolumeclaims"];

export const claimNamespaceHasQuota: StackRule = {
  name: "claim-namespace-has-quota",
  description: "A namespace with claims has a quota on their bytes and number: nobody claims a whole pool.",
  level: "mandatory",
  severity: "high",
  checkStack(resources) {
    const limited = new Set(
      resources
        .filter((resource) => kindOf(resource) === "ResourceQuota")
        .filter((quota) => LIMITS.every((limit) => at(quota.props, "spec", "hard", limit) !== undefined))
        .map((quota) => at(quota.props, "metadata", "namespace")),
    );
    return resources
      .filter((resource) => kindOf(resource) === "PersistentVolumeClaim")
      .filter((claim) => !limited.has(at(claim.props, "metadata", "namespace")))
      .map((claim) => ({
        urn: claim.urn,
        message:
          `namespace ${String(at(claim.props, "metadata", "namespace"))} has no ResourceQuota ` +
          `on ${LIMITS.join(" and ")}; declare one`,
      }));
  },
};
