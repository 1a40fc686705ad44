import type { ResourceRule } from "../../model";
import { at, isSet, kindOf, UNKNOWN } from "../../model";

/** Kinds that belong to no namespace. Any that isn't here is taken to need one. */
const CLUSTER_WIDE = new Set([
  "Namespace",
  "PersistentVolume",
  "StorageClass",
  "PriorityClass",
  "ClusterRole",
  "ClusterRoleBinding",
  "CustomResourceDefinition",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
  "ValidatingWebhookConfiguration",
  "MutatingWebhookConfiguration",
  "MutatingAdmissionPolicy",
  "MutatingAdmissionPolicyBinding",
  "APIService",
  "RuntimeClass",
  "IngressClass",
  "CSIDriver",
  "CSINode",
  "Node",
  "VolumeAttributesClass",
  "CertificateSigningRequest",
  "FlowSchema",
  "PriorityLevelConfiguration",
  "ClusterIssuer",
]);
const NOT_OURS = /^(?:default|kube-.*)$/;

export const namespaceStated: ResourceRule = {
  name: "namespace-stated",
  subject: "ownership",
  description:
    "Objects are in a namespace made for them, where quotas, policies and rights hold for them alone.",
  level: "mandatory",
  severity: "medium",
  appliesTo: (resource) => {
    const kind = kindOf(resource);
    return kind !== undefined && !CLUSTER_WIDE.has(kind) && !kind.endsWith("List");
  },
  check({ props }) {
    const namespace = at(props, "metadata", "namespace");
    if (namespace === UNKNOWN) return [];
    if (!isSet(namespace)) return ["metadata.namespace is not set; name one"];
    return NOT_OURS.test(String(namespace))
      ? [`it is in ${String(namespace)}, which is everybody's; make a namespace for it`]
      : [];
  },
};
