import type { Rule } from "./model";
import { claimBounded } from "./rules/claim-bounded";
import { claimClassBindsLate } from "./rules/claim-class-binds-late";
import { claimNamespaceHasQuota } from "./rules/claim-namespace-has-quota";
import { cronJobBounded } from "./rules/cron-job-bounded";
import { imageByDigest } from "./rules/image-by-digest";
import { noSecretInEnvironment } from "./rules/no-secret-in-environment";
import { ownershipLabels } from "./rules/ownership-labels";
import { workloadRestricted } from "./rules/workload-restricted";

/** Every rule of the pack. */
export const RULES: readonly Rule[] = [
  claimBounded,
  claimClassBindsLate,
  claimNamespaceHasQuota,
  cronJobBounded,
  imageByDigest,
  noSecretInEnvironment,
  ownershipLabels,
  workloadRestricted,
];
