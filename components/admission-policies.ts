import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { buildAdmissionPolicies } from "./lib/admission-policies.js";
import type { AdmissionPoliciesArgs } from "./lib/admission-policies.js";
import { childOptions } from "./lib/child-options.js";

export type { AdmissionPoliciesArgs } from "./lib/admission-policies.js";

/**
 * The twin, in the cluster, of those rules of the policy pack that matter after the deployment: a claim has a
 * quota, an allowed class and a bounded size, no pod mounts its node, and a local volume names its node. They
 * hold for everybody and everything that is made in the namespaces, also by hand.
 *
 * Needs Kubernetes 1.30 and the right to make ValidatingAdmissionPolicies.
 */
export class AdmissionPolicies extends pulumi.ComponentResource {
  constructor(name: string, args: AdmissionPoliciesArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:AdmissionPolicies", name, {}, opts);
    const made = new Map<string, k8s.admissionregistration.v1.ValidatingAdmissionPolicy>();
    for (const { kind, metadata, spec } of buildAdmissionPolicies(args)) {
      const rule = metadata.name.slice(args.prefix.length + 1);
      if (kind === "ValidatingAdmissionPolicy") {
        const policy = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
          `${name}-${rule}`,
          { metadata, spec },
          childOptions(this, opts),
        );
        made.set(metadata.name, policy);
      } else {
        new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
          `${name}-${rule}-binding`,
          { metadata, spec },
          childOptions(this, opts, { dependsOn: made.get(metadata.name)! }),
        );
      }
    }
    this.registerOutputs();
  }
}
