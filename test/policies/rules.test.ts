import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";

import { unwrapped } from "../../infra/recording-monitor.js";
import { render } from "../../infra/render.js";
import { kindOf } from "../../policies/model";
import type { ResourceView, Rule } from "../../policies/model";
import { RULES } from "../../policies/pack";
import { image, LOCAL_CONFIGURATION } from "../support/local-configuration.js";

const LABELS = Object.fromEntries(
  ["name", "instance", "component", "part-of", "managed-by"].map((label) => [
    `app.kubernetes.io/${label}`,
    "x",
  ]),
);

function resource(type: string, props: Record<string, unknown>, name = "x"): ResourceView {
  return { urn: `urn:pulumi:test::test::${type}::${name}`, type, props };
}

/** The messages of a rule over resources, whichever kind of rule it is. */
function messages(rule: Rule, ...resources: ResourceView[]): string[] {
  return "check" in rule
    ? resources.flatMap((view) => rule.check(view))
    : rule.checkStack(resources).map(({ message }) => message);
}

const rule = (name: string) => RULES.find((candidate) => candidate.name === name)!;

const container = (change: Record<string, unknown> = {}) => ({
  name: "main",
  image: image("main"),
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  ...change,
});
const podSpec = (change: Record<string, unknown> = {}) => ({
  securityContext: { runAsNonRoot: true, runAsUser: 10_000, seccompProfile: { type: "RuntimeDefault" } },
  containers: [container()],
  ...change,
});
const pod = (spec: Record<string, unknown>) =>
  resource("kubernetes:core/v1:Pod", { metadata: { labels: LABELS }, spec });
const deployment = (spec: Record<string, unknown>) =>
  resource("kubernetes:apps/v1:Deployment", {
    metadata: { labels: LABELS },
    spec: { template: { metadata: { labels: LABELS }, spec } },
  });
const cronJob = (change: Record<string, unknown> = {}, job: Record<string, unknown> = {}, type = "CronJob") =>
  resource(`kubernetes:batch/v1:${type}`, {
    metadata: { labels: LABELS },
    spec: {
      concurrencyPolicy: "Forbid",
      startingDeadlineSeconds: 60,
      jobTemplate: {
        spec: {
          activeDeadlineSeconds: 60,
          backoffLimit: 0,
          template: { metadata: { labels: LABELS }, spec: podSpec() },
          ...job,
        },
      },
      ...change,
    },
  });
const claim = (change: Record<string, unknown> = {}, namespace = "jobs") =>
  resource("kubernetes:core/v1:PersistentVolumeClaim", {
    metadata: { name: "c", namespace },
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "fast",
      resources: { requests: { storage: "1Gi" } },
      ...change,
    },
  });
const storageClass = (mode: string | undefined, name = "fast") =>
  resource("kubernetes:storage.k8s.io/v1:StorageClass", { metadata: { name }, volumeBindingMode: mode });
const quota = (hard: Record<string, string>, namespace = "jobs") =>
  resource("kubernetes:core/v1:ResourceQuota", { metadata: { namespace }, spec: { hard } });
const FULL_QUOTA = { "requests.storage": "1Gi", persistentvolumeclaims: "1" };
const secure = (change: Record<string, unknown>) =>
  podSpec({ containers: [container({ securityContext: { ...container().securityContext, ...change } })] });
const withEnv = (...env: unknown[]) => pod(podSpec({ containers: [container({ env })] }));

const cases: Record<string, { pass: ResourceView[][]; fail: [ResourceView[], string][] }> = {
  "claim-bounded": {
    pass: [[claim()], [claim({ accessModes: ["ReadWriteOncePod"] })], [pod(podSpec())]],
    fail: [
      [[claim({ resources: undefined })], "asks for no size"],
      [[claim({ storageClassName: undefined })], "set spec.storageClassName"],
      [[claim({ storageClassName: "" })], "set spec.storageClassName"],
      [[claim({ accessModes: ["ReadWriteOnce", "ReadWriteMany"] })], "use ReadWriteOnce"],
      [[claim({ accessModes: undefined })], "use ReadWriteOnce"],
    ],
  },
  "claim-class-binds-late": {
    pass: [
      [claim(), storageClass("WaitForFirstConsumer")],
      [claim(), storageClass("WaitForFirstConsumer"), storageClass("Immediate", "unused")],
      // Classes of the cluster are not the stack's to judge.
      [claim()],
    ],
    fail: [
      [[claim(), storageClass("Immediate")], "volumeBindingMode is Immediate; set WaitForFirstConsumer"],
      [[claim(), storageClass(undefined)], "which means Immediate"],
    ],
  },
  "claim-namespace-has-quota": {
    pass: [[claim(), quota(FULL_QUOTA)], [quota(FULL_QUOTA)]],
    fail: [
      [[claim()], "namespace jobs has no ResourceQuota"],
      [[claim({}, "other"), quota(FULL_QUOTA)], "namespace other has no ResourceQuota"],
      [[claim(), quota({ "requests.storage": "1Gi" })], "on requests.storage and persistentvolumeclaims"],
    ],
  },
  "cron-job-bounded": {
    pass: [[cronJob()], [pod(podSpec())]],
    fail: [
      [[cronJob({ concurrencyPolicy: "Allow" })], "concurrencyPolicy is Allow; set Forbid"],
      [[cronJob({ concurrencyPolicy: undefined })], "concurrencyPolicy is not set"],
      [[cronJob({ startingDeadlineSeconds: 9 })], "set 10 or more"],
      [[cronJob({}, { activeDeadlineSeconds: undefined })], "activeDeadlineSeconds"],
      [[cronJob({}, { backoffLimit: undefined })], "backoffLimit"],
      [[cronJob({ concurrencyPolicy: "Replace" }, {}, "CronJobPatch")], "concurrencyPolicy is Replace"],
    ],
  },
  "workload-restricted": {
    pass: [[pod(podSpec())], [deployment(podSpec())], [cronJob()], [claim()]],
    fail: [
      [[pod(podSpec({ hostNetwork: true }))], "hostNetwork is true"],
      [
        [pod(podSpec({ volumes: [{ name: "root", hostPath: { path: "/" } }] }))],
        "volume root is a path of the host",
      ],
      [
        [pod(secure({ allowPrivilegeEscalation: true }))],
        "containers/main: set securityContext.allowPrivilegeEscalation: false",
      ],
      [[pod(secure({ readOnlyRootFilesystem: undefined }))], "readOnlyRootFilesystem: true"],
      [[pod(secure({ capabilities: { drop: ["NET_RAW"] } }))], 'capabilities.drop: ["ALL"]'],
      [[pod(secure({ capabilities: { drop: ["ALL"], add: ["SYS_ADMIN"] } }))], "capabilities without add"],
      [[pod(secure({ privileged: true }))], "privileged: false"],
      [[pod(secure({ runAsUser: 0 }))], "another user than 0"],
      [[pod(secure({ runAsNonRoot: false }))], "runAsNonRoot: true"],
      [[pod(secure({ seccompProfile: { type: "Unconfined" } }))], "seccompProfile.type: RuntimeDefault"],
      [
        [
          deployment(
            podSpec({
              initContainers: [
                container({
                  name: "init",
                  securityContext: { ...container().securityContext, privileged: true },
                }),
              ],
            }),
          ),
        ],
        "initContainers/init: set",
      ],
      [[cronJob({}, { template: { spec: podSpec({ hostPID: true }) } })], "hostPID is true"],
    ],
  },
  "image-by-digest": {
    pass: [[pod(podSpec())], [cronJob()]],
    fail: [
      [[pod(podSpec({ containers: [container({ image: "example.test/main:latest" })] }))], "has no digest"],
      [
        [pod(podSpec({ initContainers: [container({ name: "init", image: undefined })] }))],
        "initContainers/init: image undefined",
      ],
      [
        [pod(podSpec({ containers: [container({ image: "example.test/main@sha256:abc" })] }))],
        "has no digest",
      ],
    ],
  },
  "no-secret-in-environment": {
    pass: [
      [
        withEnv(
          { name: "LOG_LEVEL", value: "info" },
          { name: "ROOT_PASSWORD_FILE", value: "/run/secrets/root" },
        ),
      ],
      [withEnv({ name: "ENDPOINT", value: "http://object-storage:9000" })],
      [withEnv({ name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } })],
    ],
    fail: [
      [[withEnv({ name: "DB_PASSWORD", value: "hunter2" })], "variable DB_PASSWORD looks like a secret"],
      [[withEnv({ name: "AWS_SECRET_ACCESS_KEY", value: "hunter2" })], "AWS_SECRET_ACCESS_KEY"],
      [[withEnv({ name: "DATABASE", value: "postgresql://u:hunter2@db/x" })], "a URL with credentials"],
      [
        [withEnv({ name: "X", valueFrom: { secretKeyRef: { name: "s", key: "k" } } })],
        "takes a Secret into the environment",
      ],
      [
        [pod(podSpec({ containers: [container({ envFrom: [{ secretRef: { name: "s" } }] })] }))],
        "envFrom takes a Secret",
      ],
    ],
  },
  "ownership-labels": {
    pass: [
      [pod(podSpec())],
      [deployment(podSpec())],
      [resource("random:index/randomPassword:RandomPassword", {})],
    ],
    fail: [
      [[resource("kubernetes:core/v1:ConfigMap", {})], "metadata.labels lack app.kubernetes.io/name"],
      [
        [resource("kubernetes:apps/v1:Deployment", { metadata: { labels: LABELS }, spec: {} })],
        "the pod template's labels lack app.kubernetes.io/name",
      ],
    ],
  },
};

describe.each(Object.entries(cases))("%s", (name, { pass, fail }) => {
  it.each(pass.map((resources, index) => [index, resources] as const))(
    "lets example %i pass",
    (_index, resources) => {
      expect(messages(rule(name), ...resources)).toEqual([]);
    },
  );

  it.each(fail.map(([resources, message]) => [message, resources] as const))(
    "says: %s",
    (message, resources) => {
      const found = messages(rule(name), ...resources);
      expect(found).toHaveLength(1);
      expect(found[0]).toContain(message);
    },
  );
});

describe("the pack", () => {
  it("has every rule that has a file, and an example of each outcome for each", () => {
    const folder = fileURLToPath(new URL("../../policies/rules", import.meta.url));
    const files = readdirSync(folder).map((file) => file.replace(/\.ts$/, ""));
    expect(RULES.map(({ name }) => name)).toEqual(files.sort());
    expect(Object.keys(cases).sort()).toEqual(files);
  });

  it("never repeats a secret's value", () => {
    const all = cases["no-secret-in-environment"]!.fail.flatMap(([resources]) =>
      messages(rule("no-secret-in-environment"), ...resources),
    );
    expect(all.join()).not.toContain("hunter2");
  });

  it("doesn't throw over what is missing", () => {
    const types = ["Pod", "Deployment", "CronJob", "PersistentVolumeClaim", "StorageClass", "ResourceQuota"];
    const empty = types.map((kind) => resource(`kubernetes:x/v1:${kind}`, {}));
    expect(RULES.flatMap((each) => messages(each, ...empty)).length).toBeGreaterThan(0);
  });
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

describe("our own local stack", () => {
  let views: ResourceView[];
  beforeAll(async () => {
    const { resources } = await render({ stack: "local", config: LOCAL_CONFIGURATION });
    views = resources.map(({ urn, type, inputs }) => ({ urn, type, props: unwrapped(inputs) }));
  });

  it.each(RULES.map((each) => [each.name, each] as const))("passes %s", (_name, each) => {
    expect(views.length).toBeGreaterThan(70);
    expect(messages(each, ...views)).toEqual([]);
  });
});
