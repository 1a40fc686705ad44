import { kindOf } from "../../policies/model";
import type { ResourceView } from "../../policies/model";
import { WORKLOAD_KINDS } from "../../policies/workloads";
import { cloudMutationsOf } from "./cloud-mutations.js";

// oxlint-disable-next-line typescript/no-explicit-any -- what is broken here is known to be there
type Props = Record<string, any>;

/** A stack in which one promise is broken. */
export interface Mutation {
  readonly name: string;
  /** The rule that must find it. */
  readonly rule: string;
  /** Rules that rightly find it too. */
  readonly also: readonly string[];
  readonly resources: ResourceView[];
}

/** One way of breaking a promise, applied to each resource, or to each container, that it fits. */
interface Way {
  readonly name: string;
  readonly rule: string;
  readonly also?: readonly string[];
  readonly kinds: readonly string[];
  /** Changes a copy of the inputs; returns false where there is nothing to break. */
  readonly breaks: (props: Props, view: ResourceView) => unknown;
}

const template = (props: Props, view: ResourceView): Props => {
  const kind = kindOf(view);
  if (kind === "CronJob") return props["spec"].jobTemplate.spec.template;
  return kind === "Pod" ? props : props["spec"].template;
};

/** A way for every container of every workload. */
function ofContainers(
  name: string,
  rule: string,
  breaks: (container: Props, pod: Props) => unknown,
  also: readonly string[] = [],
): Way[] {
  return [0, 1, 2].map((index) => ({
    name: `${name} (container ${index})`,
    rule,
    also,
    kinds: WORKLOAD_KINDS,
    breaks: (props: Props, view: ResourceView) => {
      const { spec } = template(props, view);
      const container = [...(spec.initContainers ?? []), ...spec.containers][index];
      return container === undefined ? false : breaks(container, spec);
    },
  }));
}

/** A way for the pods of every workload. */
function ofPods(
  name: string,
  rule: string,
  breaks: (spec: Props) => unknown,
  also: readonly string[] = [],
): Way {
  return {
    name,
    rule,
    also,
    kinds: WORKLOAD_KINDS,
    breaks: (props, view) => breaks(template(props, view)["spec"]),
  };
}

const of = (
  kind: string,
  name: string,
  rule: string,
  breaks: Way["breaks"],
  also: readonly string[] = [],
): Way => ({
  ...{ name, rule, also, kinds: [kind], breaks },
});

const limitsClaims = (spec: Props): boolean => spec["hard"]["requests.storage"] !== undefined;
const PASSWORD = ["hunter", "2"].join("");

const WAYS: readonly Way[] = [
  ...ofContainers(
    "may become privileged",
    "privileges-not-gained",
    (c) => (c["securityContext"].allowPrivilegeEscalation = true),
  ),
  ...ofContainers("is privileged", "privileges-not-gained", (c) => (c["securityContext"].privileged = true)),
  ...ofContainers(
    "keeps capabilities",
    "capabilities-dropped",
    (c) => (c["securityContext"].capabilities = {}),
  ),
  ...ofContainers(
    "adds a capability",
    "capabilities-dropped",
    (c) => (c["securityContext"].capabilities.add = ["SYS_ADMIN"]),
  ),
  ...ofContainers(
    "writes to its root",
    "root-read-only",
    (c) => delete c["securityContext"].readOnlyRootFilesystem,
  ),
  ...ofContainers("runs as root", "user-not-root", (c) => (c["securityContext"].runAsUser = 0)),
  ...ofContainers(
    "runs without seccomp",
    "seccomp-set",
    (c) => (c["securityContext"].seccompProfile = { type: "Unconfined" }),
  ),
  ...ofContainers(
    "has an image by tag",
    "image-by-digest",
    (c) => (c["image"] = c["image"].replace(/@.*/, ":1")),
  ),
  ...ofContainers("has no memory limit", "resources-bounded", (c) => delete c["resources"].limits.memory),
  ...ofContainers("has no resources", "resources-bounded", (c) => delete c["resources"]),
  ...ofContainers(
    "takes a port of the host",
    "host-not-shared",
    (c) => (c["ports"] = [{ containerPort: 1, hostPort: 1 }]),
    ["service-probed"],
  ),
  ...ofContainers(
    "has a password in its environment",
    "no-secret-in-environment",
    (c) => (c["env"] = [...(c["env"] ?? []), { name: "DB_PASSWORD", value: PASSWORD }]),
  ),
  ...ofContainers(
    "takes a Secret into its environment",
    "no-secret-in-environment",
    (c) => (c["envFrom"] = [{ secretRef: { name: "s" } }]),
  ),
  ...ofContainers(
    "has a password in its arguments",
    "no-secret-in-environment",
    (c) => (c["args"] = [...(c["args"] ?? []), `--password=${PASSWORD}`]),
  ),
  ...ofContainers(
    "sets a variable twice",
    "environment-unambiguous",
    (c) => (c["env"] = [...(c["env"] ?? []), { name: "TWICE", value: "1" }, { name: "TWICE", value: "2" }]),
  ),
  ofPods("runs as anybody", "user-not-root", (spec) => delete spec["securityContext"].runAsNonRoot),
  ofPods("sees the host's processes", "host-not-shared", (spec) => (spec["hostPID"] = true)),
  ofPods("has the host's network", "host-not-shared", (spec) => (spec["hostNetwork"] = true)),
  ofPods(
    "mounts the host",
    "host-not-shared",
    (spec) => (spec["volumes"] = [...(spec["volumes"] ?? []), { name: "host", hostPath: { path: "/" } }]),
  ),
  ofPods(
    "has an emptyDir without end",
    "resources-bounded",
    (spec) => (spec["volumes"] = [...(spec["volumes"] ?? []), { name: "scratch", emptyDir: {} }]),
  ),
  ofPods(
    "changes the kernel's settings",
    "privileges-not-gained",
    (spec) => (spec["securityContext"].sysctls = [{ name: "kernel.msgmax", value: "1" }]),
  ),
  ofPods("is the default account", "token-on-purpose", (spec) => (spec["serviceAccountName"] = "default")),
  ofPods(
    "has a token for nothing",
    "token-on-purpose",
    (spec) => spec["automountServiceAccountToken"] === false && (spec["automountServiceAccountToken"] = true),
  ),
  ...["Deployment", "StatefulSet", "DaemonSet"].map((kind) =>
    of(kind, "is sent requests at once", "service-probed", (props, view) => {
      const container = template(props, view)["spec"].containers[0];
      container.ports = [{ containerPort: 9000 }];
      delete container.readinessProbe;
    }),
  ),

  of("CronJob", "runs beside itself", "cron-job-bounded", ({ spec }) => (spec.concurrencyPolicy = "Allow")),
  of("CronJob", "replaces itself", "cron-job-bounded", ({ spec }) => (spec.concurrencyPolicy = "Replace")),
  of(
    "CronJob",
    "may be missed for ever",
    "cron-job-bounded",
    ({ spec }) => (spec.startingDeadlineSeconds = 5),
  ),
  of(
    "CronJob",
    "has no starting deadline",
    "cron-job-bounded",
    ({ spec }) => delete spec.startingDeadlineSeconds,
  ),
  of(
    "CronJob",
    "runs for ever",
    "cron-job-bounded",
    ({ spec }) => delete spec.jobTemplate.spec.activeDeadlineSeconds,
  ),
  of("CronJob", "is retried", "cron-job-bounded", ({ spec }) => delete spec.jobTemplate.spec.backoffLimit),
  of("CronJob", "is suspended", "cron-job-kept-in-sight", ({ spec }) => (spec.suspend = true)),
  of(
    "CronJob",
    "keeps no failed run",
    "cron-job-kept-in-sight",
    ({ spec }) => (spec.failedJobsHistoryLimit = 0),
  ),
  of(
    "CronJob",
    "restarts its pods",
    "cron-job-kept-in-sight",
    ({ spec }) => (spec.jobTemplate.spec.template.spec.restartPolicy = "Always"),
  ),
  of(
    "CronJob",
    "has too long a name",
    "cron-job-kept-in-sight",
    ({ metadata }) => (metadata.name = "c".repeat(53)),
  ),
  of(
    "CronJob",
    "has a schedule that is none",
    "schedule-stated",
    ({ spec }) => (spec.schedule = "61 * * * *"),
  ),
  of("CronJob", "has no time zone", "schedule-stated", ({ spec }) => delete spec.timeZone),
  of("CronJob", "comes once a month", "swept-before-full", ({ spec }) => (spec.schedule = "0 0 1 * *")),
  of(
    "CronJob",
    "ranks with any pod",
    "sweep-outranks",
    (props, view) => delete template(props, view)["spec"].priorityClassName,
  ),
  of(
    "CronJob",
    "shuns a full disk",
    "sweep-outranks",
    (props, view) => (template(props, view)["spec"].tolerations = []),
  ),
  of("PriorityClass", "is below any pod", "sweep-outranks", (props) => (props["value"] = -1)),

  of("PersistentVolumeClaim", "asks for no size", "claim-bounded", ({ spec }) => delete spec.resources),
  of(
    "PersistentVolumeClaim",
    "asks for too much",
    "claim-bounded",
    ({ spec }) => (spec.resources = { requests: { storage: "1Pi" } }),
    ["claim-namespace-has-quota"],
  ),
  of(
    "PersistentVolumeClaim",
    "takes the default class",
    "claim-bounded",
    ({ spec }) => delete spec.storageClassName,
  ),
  of(
    "PersistentVolumeClaim",
    "is for many nodes",
    "claim-bounded",
    ({ spec }) => (spec.accessModes = ["ReadWriteMany"]),
  ),
  of(
    "PersistentVolumeClaim",
    "is waited for",
    "claim-not-awaited",
    ({ metadata }) => delete metadata.annotations,
  ),
  of(
    "ResourceQuota",
    "counts no bytes",
    "claim-namespace-has-quota",
    ({ spec }) => limitsClaims(spec) && delete spec.hard["requests.storage"],
  ),
  of(
    "ResourceQuota",
    "counts no claims",
    "claim-namespace-has-quota",
    ({ spec }) => limitsClaims(spec) && delete spec.hard.persistentvolumeclaims,
  ),
  of(
    "ResourceQuota",
    "is too small",
    "claim-namespace-has-quota",
    ({ spec }) => limitsClaims(spec) && (spec.hard["requests.storage"] = "1Mi"),
  ),
  of(
    "StorageClass",
    "binds at once",
    "claim-class-binds-late",
    (props) => (props["volumeBindingMode"] = "Immediate"),
  ),
  of(
    "StorageClass",
    "doesn't say when it binds",
    "claim-class-binds-late",
    (props) => delete props["volumeBindingMode"],
  ),
  of("StorageClass", "has a provisioner of before", "class-safe", (props) => {
    props["provisioner"] = "kubernetes.io/aws-ebs";
  }),
  of(
    "StorageClass",
    "expands what can't be",
    "class-safe",
    (props) => (props["allowVolumeExpansion"] = true),
  ),
  of(
    "StorageClass",
    "doesn't say what becomes of volumes",
    "class-safe",
    (props) => delete props["reclaimPolicy"],
  ),
  of("StorageClass", "is everybody's", "class-safe", ({ metadata }) => {
    metadata.annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
  }),
  of("PersistentVolume", "is anywhere", "volume-pinned", ({ spec }) => delete spec.nodeAffinity),
  of("PersistentVolume", "is a path", "volume-pinned", ({ spec }) => {
    spec.hostPath = spec.local;
    delete spec.local;
  }),
  of(
    "PersistentVolume",
    "is recycled",
    "volume-pinned",
    ({ spec }) => (spec.persistentVolumeReclaimPolicy = "Recycle"),
  ),

  of(
    "NetworkPolicy",
    "lets all in",
    "namespace-closed",
    ({ metadata, spec }) => (metadata.name === "default-deny" ? (spec.ingress = [{}]) : false),
    ["opening-narrow"],
  ),
  of("NetworkPolicy", "denies no way in", "namespace-closed", ({ metadata, spec }) =>
    metadata.name === "default-deny" ? (spec.policyTypes = ["Egress"]) : false,
  ),
  of("NetworkPolicy", "denies some pods only", "namespace-closed", ({ metadata, spec }) =>
    metadata.name === "default-deny" ? (spec.podSelector = { matchLabels: { a: "b" } }) : false,
  ),
  of("NetworkPolicy", "leads to the metadata service", "opening-narrow", ({ spec }) =>
    spec.egress ? (spec.egress[0].to = [{ ipBlock: { cidr: "169.254.169.254/32" } }]) : false,
  ),
  of("NetworkPolicy", "leads everywhere", "opening-narrow", ({ spec }) =>
    spec.egress ? delete spec.egress[0].to : false,
  ),
  of("NetworkPolicy", "lets in everybody", "opening-narrow", ({ spec }) =>
    spec.ingress ? delete spec.ingress[0].from : false,
  ),
  of("Service", "is outside the cluster", "service-inside", ({ spec }) => (spec.type = "LoadBalancer")),
  of("Service", "takes others' traffic", "service-inside", ({ spec }) => (spec.externalIPs = ["192.0.2.1"])),

  of("Role", "may do anything", "rights-least", ({ rules }) => (rules[0].verbs = ["*"])),
  of("Role", "may do it to anything", "rights-least", ({ rules }) => (rules[0].resources = ["*"])),
  of("Role", "enters pods", "rights-least", ({ rules }) => (rules[0].resources = ["pods/exec"])),
  of("Role", "reads secrets", "rights-least", ({ rules }) =>
    rules.push({ apiGroups: [""], resources: ["secrets"], verbs: ["list"] }),
  ),
  of("RoleBinding", "is for everybody", "rights-given-to-one", ({ subjects }) =>
    subjects.push({ kind: "Group", name: "system:authenticated" }),
  ),
  of(
    "RoleBinding",
    "gives everything",
    "rights-given-to-one",
    ({ roleRef }) => (roleRef.name = "cluster-admin"),
  ),

  of(
    "Namespace",
    "takes any pod",
    "namespace-restricted",
    ({ metadata }) => delete metadata.labels["pod-security.kubernetes.io/enforce"],
  ),
  of(
    "Namespace",
    "takes baseline pods",
    "namespace-restricted",
    ({ metadata }) => (metadata.labels["pod-security.kubernetes.io/enforce"] = "baseline"),
  ),
  of(
    "ConfigMap",
    "holds a password",
    "no-secret-in-config-map",
    (props) => (props["data"] = { ...props["data"], password: PASSWORD }),
  ),
  of("ConfigMap", "belongs to nobody", "ownership-labels", ({ metadata }) => delete metadata.labels),
  of(
    "ConfigMap",
    "is in everybody's namespace",
    "namespace-stated",
    ({ metadata }) => (metadata.namespace = "default"),
  ),
  of("Role", "is in no namespace", "namespace-stated", ({ metadata }) => delete metadata.namespace),
];

/** Ways that take a whole resource away, or change what surrounds its inputs. */
function surroundings(views: readonly ResourceView[]): Mutation[] {
  const without = (
    kind: string,
    rule: string,
    also: readonly string[] = [],
    fits: (view: ResourceView) => boolean = () => true,
  ): Mutation[] =>
    views
      .filter((view) => kindOf(view) === kind && fits(view))
      .map((gone) => ({
        name: `${kind} ${gone.name} is gone`,
        rule,
        also,
        resources: views.filter((view) => view !== gone),
      }));
  const changed = (
    name: string,
    rule: string,
    fits: (view: ResourceView) => boolean,
    change: Partial<ResourceView>,
  ): Mutation[] =>
    views.filter(fits).map((target) => ({
      name: `${target.name} ${name}`,
      rule,
      also: [],
      resources: views.map((view) => (view === target ? { ...view, ...change } : view)),
    }));
  return [
    ...without("LimitRange", "namespace-restricted"),
    ...without("ResourceQuota", "claim-namespace-has-quota", ["namespace-restricted"], ({ props }) =>
      limitsClaims(props["spec"] as Props),
    ),
    ...without("NetworkPolicy", "namespace-closed", [], ({ name }) => name.endsWith("default-deny")),
    // Of an account that has two, the other is what it has its token for.
    ...without("RoleBinding", "token-on-purpose", [], ({ props }) => {
      const subject = (binding: Props) => JSON.stringify(binding["subjects"]);
      const bindings = views.filter((view) => /^(Cluster)?RoleBinding$/.test(kindOf(view) ?? ""));
      return bindings.filter((other) => subject(other.props) === subject(props)).length === 1;
    }),
    ...changed("takes the default provider", "provider-stated", (view) => kindOf(view) !== undefined, {
      provider: "default_4_32_0",
    }),
    ...changed("is kept in clear", "secret-kept-secret", (view) => kindOf(view) === "Secret", {
      secretPaths: new Set<string>(),
    }),
  ];
}

/**
 * Every way of breaking a promise of the stack, one at a time, but those that are exempted (`RULE URN`).
 */
export function mutationsOf(views: readonly ResourceView[], exempted: ReadonlySet<string>): Mutation[] {
  const made = WAYS.flatMap(({ name, rule, also = [], kinds, breaks }) =>
    views
      .filter((view) => kinds.includes(kindOf(view) ?? "") && !exempted.has(`${rule} ${view.urn}`))
      .flatMap((target): Mutation[] => {
        const props = structuredClone(target.props);
        if (breaks(props, target) === false) return [];
        const resources = views.map((view) => (view === target ? { ...view, props } : view));
        return [{ name: `${kindOf(target)} ${target.name} ${name}`, rule, also, resources }];
      }),
  );
  return [...made, ...surroundings(views), ...cloudMutationsOf(views, exempted)];
}
