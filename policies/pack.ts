import type { Rule } from "./model";
import { bucketEncrypted } from "./rules/buckets/bucket-encrypted";
import { bucketKept } from "./rules/buckets/bucket-kept";
import { bucketLogged } from "./rules/buckets/bucket-logged";
import { bucketNotPublic } from "./rules/buckets/bucket-not-public";
import { bucketOwned } from "./rules/buckets/bucket-owned";
import { bucketPolicyNarrow } from "./rules/buckets/bucket-policy-narrow";
import { bucketTidied } from "./rules/buckets/bucket-tidied";
import { bucketTlsOnly } from "./rules/buckets/bucket-tls-only";
import { bucketVersioned } from "./rules/buckets/bucket-versioned";
import { capabilitiesDropped } from "./rules/pods/capabilities-dropped";
import { claimBounded } from "./rules/volumes/claim-bounded";
import { claimClassBindsLate } from "./rules/volumes/claim-class-binds-late";
import { claimNamespaceHasQuota } from "./rules/volumes/claim-namespace-has-quota";
import { claimNotAwaited } from "./rules/volumes/claim-not-awaited";
import { classSafe } from "./rules/volumes/class-safe";
import { cloudRightsLeast } from "./rules/access/cloud-rights-least";
import { cronJobBounded } from "./rules/cleanup-jobs/cron-job-bounded";
import { cronJobKeptInSight } from "./rules/cleanup-jobs/cron-job-kept-in-sight";
import { environmentUnambiguous } from "./rules/pods/environment-unambiguous";
import { hostNotShared } from "./rules/pods/host-not-shared";
import { imageByDigest } from "./rules/pods/image-by-digest";
import { keyRotated } from "./rules/buckets/key-rotated";
import { namespaceClosed } from "./rules/network/namespace-closed";
import { namespaceRestricted } from "./rules/ownership/namespace-restricted";
import { namespaceStated } from "./rules/ownership/namespace-stated";
import { noSecretInConfigMap } from "./rules/secrets/no-secret-in-config-map";
import { noSecretInEnvironment } from "./rules/secrets/no-secret-in-environment";
import { noStaticCloudKey } from "./rules/access/no-static-cloud-key";
import { openingNarrow } from "./rules/network/opening-narrow";
import { ownershipLabels } from "./rules/ownership/ownership-labels";
import { privilegesNotGained } from "./rules/pods/privileges-not-gained";
import { providerStated } from "./rules/ownership/provider-stated";
import { resourcesBounded } from "./rules/pods/resources-bounded";
import { rightsGivenToOne } from "./rules/access/rights-given-to-one";
import { rightsLeast } from "./rules/access/rights-least";
import { roleTakenByOne } from "./rules/access/role-taken-by-one";
import { rootReadOnly } from "./rules/pods/root-read-only";
import { scheduleStated } from "./rules/cleanup-jobs/schedule-stated";
import { seccompSet } from "./rules/pods/seccomp-set";
import { secretKeptSecret } from "./rules/secrets/secret-kept-secret";
import { serviceInside } from "./rules/network/service-inside";
import { serviceProbed } from "./rules/pods/service-probed";
import { sweepOutranks } from "./rules/cleanup-jobs/sweep-outranks";
import { sweptBeforeFull } from "./rules/cleanup-jobs/swept-before-full";
import { tokenOnPurpose } from "./rules/access/token-on-purpose";
import { userNotRoot } from "./rules/pods/user-not-root";
import { volumePinned } from "./rules/volumes/volume-pinned";

/** Every rule of the pack. */
export const RULES: readonly Rule[] = [
  bucketEncrypted,
  bucketKept,
  bucketLogged,
  bucketNotPublic,
  bucketOwned,
  bucketPolicyNarrow,
  bucketTidied,
  bucketTlsOnly,
  bucketVersioned,
  capabilitiesDropped,
  claimBounded,
  claimClassBindsLate,
  claimNamespaceHasQuota,
  claimNotAwaited,
  classSafe,
  cloudRightsLeast,
  cronJobBounded,
  cronJobKeptInSight,
  environmentUnambiguous,
  hostNotShared,
  imageByDigest,
  keyRotated,
  namespaceClosed,
  namespaceRestricted,
  namespaceStated,
  noSecretInConfigMap,
  noSecretInEnvironment,
  noStaticCloudKey,
  openingNarrow,
  ownershipLabels,
  privilegesNotGained,
  providerStated,
  resourcesBounded,
  rightsGivenToOne,
  rightsLeast,
  roleTakenByOne,
  rootReadOnly,
  scheduleStated,
  seccompSet,
  secretKeptSecret,
  serviceInside,
  serviceProbed,
  sweepOutranks,
  sweptBeforeFull,
  tokenOnPurpose,
  userNotRoot,
  volumePinned,
];
