import { describe, expect, it } from "vitest";

import { DEFAULT_LIMITS } from "../../policies/limits";
import type { Limits } from "../../policies/limits";
import { Stack } from "../../policies/model";
import type { ResourceView, Rule } from "../../policies/model";
import { RULES } from "../../policies/pack";
import { image } from "../support/local-configuration.js";

type Props = Record<string, unknown>;

export const LABELS = Object.fromEntries(
  ["name", "instance", "component", "part-of", "managed-by"].map((label) => [
    `app.kubernetes.io/${label}`,
    "x",
  ]),
);

/** A resource as the engine or the renderer tells of it. */
export function resource(type: string, props: Props, more: Partial<ResourceView> = {}): ResourceView {
  const name = more.name ?? "x";
  return { urn: `urn:pulumi:test::test::${type}::${name}`, type, name, props, ...more };
}

export const kubernetes = (
  group: string,
  kind: string,
  props: Props,
  more: Partial<ResourceView> = {},
): ResourceView => resource(`kubernetes:${group}:${kind}`, props, more);

export const container = (change: Props = {}): Props => ({
  name: "main",
  image: image("main"),
  resources: {
    requests: { cpu: "1", memory: "1Gi", "ephemeral-storage": "1Gi" },
    limits: { memory: "1Gi", "ephemeral-storage": "1Gi" },
  },
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  ...change,
});

export const podSpec = (change: Props = {}): Props => ({
  serviceAccountName: "worker",
  automountServiceAccountToken: false,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 10_000,
    runAsGroup: 10_000,
    seccompProfile: { type: "RuntimeDefault" },
  },
  containers: [container()],
  ...change,
});

export const pod = (spec: Props = podSpec(), metadata: Props = {}): ResourceView =>
  kubernetes("core/v1", "Pod", {
    metadata: { name: "p", namespace: "jobs", labels: LABELS, ...metadata },
    spec,
  });

/** A pod with one container that differs. */
export const podWith = (change: Props): ResourceView => pod(podSpec({ containers: [container(change)] }));

/** A pod with one container whose security context differs. */
export const secured = (change: Props): ResourceView =>
  podWith({ securityContext: { ...(container()["securityContext"] as Props), ...change } });

/** A pod whose own security context differs. */
export const podSecured = (change: Props): ResourceView =>
  pod(podSpec({ securityContext: { ...(podSpec()["securityContext"] as Props), ...change } }));

export const deployment = (spec: Props = podSpec()): ResourceView =>
  kubernetes("apps/v1", "Deployment", {
    metadata: { name: "d", namespace: "jobs", labels: LABELS },
    spec: { template: { metadata: { labels: LABELS }, spec } },
  });

export const cronJob = (change: Props = {}, job: Props = {}, kind = "CronJob"): ResourceView =>
  kubernetes("batch/v1", kind, {
    metadata: { name: "c", namespace: "jobs", labels: LABELS },
    spec: {
      schedule: "*/5 * * * *",
      timeZone: "Etc/UTC",
      concurrencyPolicy: "Forbid",
      startingDeadlineSeconds: 60,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 3,
      jobTemplate: {
        spec: {
          activeDeadlineSeconds: 60,
          backoffLimit: 0,
          template: { metadata: { labels: LABELS }, spec: podSpec({ restartPolicy: "Never" }) },
          ...job,
        },
      },
      ...change,
    },
  });

export const claim = (
  change: Props = {},
  namespace = "jobs",
  more: Partial<ResourceView> = {},
): ResourceView =>
  kubernetes(
    "core/v1",
    "PersistentVolumeClaim",
    {
      metadata: { name: "c", namespace },
      spec: {
        accessModes: ["ReadWriteOnce"],
        storageClassName: "fast",
        resources: { requests: { storage: "1Gi" } },
        ...change,
      },
    },
    more,
  );

export const storageClass = (change: Props = {}, name = "fast"): ResourceView =>
  kubernetes("storage.k8s.io/v1", "StorageClass", {
    metadata: { name },
    provisioner: "kubernetes.io/no-provisioner",
    reclaimPolicy: "Retain",
    volumeBindingMode: "WaitForFirstConsumer",
    ...change,
  });

export const quota = (hard: Props, namespace = "jobs"): ResourceView =>
  kubernetes("core/v1", "ResourceQuota", { metadata: { namespace }, spec: { hard } });

export const FULL_QUOTA = { "requests.storage": "1Gi", persistentvolumeclaims: "1" };

/** The messages of a rule over resources, whichever kind of rule it is. */
export function messages(
  rule: Rule,
  resources: readonly ResourceView[],
  limits: Partial<Limits> = {},
): string[] {
  const all = { ...DEFAULT_LIMITS, ...limits };
  return "check" in rule
    ? resources.filter(rule.appliesTo).flatMap((view) => rule.check(view, all))
    : rule.checkStack(new Stack(resources), all).map(({ message }) => message);
}

export const ruleNamed = (name: string): Rule => RULES.find((candidate) => candidate.name === name)!;

/** What a rule must let pass and what it must say, with the limits that differ. */
export interface Cases {
  readonly pass: readonly (readonly ResourceView[])[];
  readonly fail: readonly (readonly [readonly ResourceView[], string])[];
  readonly limits?: Partial<Limits>;
}

/** Tests a subject's rules, and that none of them is without an example of each outcome. */
export function describeRules(subject: string, cases: Readonly<Record<string, Cases>>): void {
  describe(`rules of ${subject}`, () => {
    it("each have an example that passes and one that fails", () => {
      const names = RULES.filter((rule) => rule.subject === subject).map(({ name }) => name);
      expect(Object.keys(cases).sort()).toEqual(names.sort());
      const poor = Object.entries(cases).filter(
        ([, { pass, fail }]) => pass.length === 0 || fail.length === 0,
      );
      expect(poor).toEqual([]);
    });
  });
  describe.each(Object.entries(cases))("%s", (name, { pass, fail, limits }) => {
    it.each(pass.map((resources, index) => [index, resources] as const))(
      "lets example %i pass",
      (_index, resources) => {
        expect(messages(ruleNamed(name), resources, limits)).toEqual([]);
      },
    );

    it.each(fail.map(([resources, message]) => [message, resources] as const))(
      "says: %s",
      (message, resources) => {
        const found = messages(ruleNamed(name), resources, limits);
        expect(found).toHaveLength(1);
        expect(found[0]).toContain(message);
      },
    );
  });
}
