import { describe, expect, it } from "vitest";

import { UNKNOWN, kindOf } from "../../../policies/model";
import { FULL_QUOTA, LABELS, claim, describeRules, kubernetes, pod, quota, resource } from "../examples.js";

const namespace = (enforce: string | undefined) =>
  kubernetes("core/v1", "Namespace", {
    metadata: { name: "jobs", labels: { "pod-security.kubernetes.io/enforce": enforce } },
  });
const limits = kubernetes("core/v1", "LimitRange", { metadata: { namespace: "jobs" } });
const configMap = (metadata: Record<string, unknown>) => kubernetes("core/v1", "ConfigMap", { metadata });

describeRules("ownership", {
  "ownership-labels": {
    pass: [
      [pod()],
      [resource("random:index/randomPassword:RandomPassword", {})],
      [configMap({ labels: UNKNOWN })],
    ],
    fail: [
      [[kubernetes("core/v1", "ConfigMap", {})], "metadata.labels lack app.kubernetes.io/name"],
      [
        [configMap({ labels: { ...LABELS, "app.kubernetes.io/part-of": "" } })],
        "lack app.kubernetes.io/part-of;",
      ],
      [
        [kubernetes("apps/v1", "Deployment", { metadata: { labels: LABELS }, spec: {} })],
        "the pod template's labels lack app.kubernetes.io/name",
      ],
    ],
  },
  "namespace-stated": {
    pass: [
      [configMap({ namespace: "jobs" })],
      [namespace("restricted")],
      [configMap({ namespace: UNKNOWN })],
    ],
    fail: [
      [[configMap({})], "metadata.namespace is not set"],
      [[configMap({ namespace: "default" })], "it is in default"],
      [[configMap({ namespace: "kube-system" })], "it is in kube-system"],
    ],
  },
  "provider-stated": {
    pass: [
      [pod()],
      [{ ...pod(), provider: "cluster" }],
      [resource("pulumi:providers:kubernetes", {}, { provider: "" })],
    ],
    fail: [
      [[{ ...pod(), provider: "" }], "it takes the default provider"],
      [[{ ...pod(), provider: "default_4_32_0" }], "it takes the default provider"],
    ],
  },
  "namespace-restricted": {
    pass: [[namespace("restricted")], [namespace("restricted"), pod(), quota(FULL_QUOTA), limits], []],
    fail: [
      [[namespace("baseline")], "enforce is baseline; set restricted"],
      [[namespace(undefined)], "enforce is not set"],
      [[namespace("restricted"), claim(), limits], "namespace jobs has no ResourceQuota"],
      [[namespace("restricted"), pod(), quota(FULL_QUOTA)], "namespace jobs has no LimitRange"],
    ],
  },
});

describe("the kind of a resource", () => {
  it.each([
    ["kubernetes:batch/v1:CronJob", "CronJob"],
    ["kubernetes:batch/v1:CronJobPatch", "CronJob"],
    ["kubernetes:rbac.authorization.k8s.io/v1:Role", "Role"],
    ["kubernetes:core/v1:Namespace", "Namespace"],
    ["kubernetes:helm.sh/v3:Release", undefined],
    ["kubernetes:yaml:ConfigFile", undefined],
    ["aws:s3/bucket:Bucket", undefined],
    ["pulumi:providers:kubernetes", undefined],
  ])("of %s is %s", (type, kind) => {
    expect(kindOf(resource(type, {}))).toBe(kind);
  });
});
