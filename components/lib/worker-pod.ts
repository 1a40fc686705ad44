import {
  CATALOGUE_CREDENTIALS_DIRECTORY,
  CONTRACT_FILE,
  OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
} from "@video-storage/contract/stack-contract";
import type { StackContract } from "@video-storage/contract/stack-contract";

import {
  GROUP_LABEL,
  labels,
  METRICS_LABEL,
  POOL_LABEL,
  selectorLabels,
  TENANT_LABEL,
  VOLUME_LABEL,
} from "./labels.js";
import { CONTRACT_CONFIG_MAP, claimVolume, configMapVolume, fieldVariable, secretVolume } from "./mounts.js";
import { awayFromOtherGroups } from "./placement-jobs.js";
import { containerSecurity, podSecurity, userNamespace } from "./security-context.js";

/** Which slot a worker uses, and for whom. */
export interface WorkerScratchUse {
  /** The stack's contract, as its outputs or its ConfigMap have it. */
  readonly contract: StackContract;
  /** Name of the volume this worker owns; one of the contract's slots. */
  readonly slot: string;
  /** Whose extraction it runs; one of the contract's tenants, and the slot's own where the slot has one. */
  readonly tenant: string;
  /** Whether it serves metrics (`serveMetrics`), to be scraped where the stack has monitoring. Default: no. */
  readonly metrics?: boolean;
}

/** The parts of a pod's template that {@link withWorkerScratch} reads; whatever else it has is kept. */
export interface PodTemplate {
  /** As Kubernetes has it. */
  readonly metadata?: { readonly labels?: Record<string, string>; readonly [field: string]: unknown };
  /** As Kubernetes has it. */
  readonly spec: {
    readonly containers: readonly Container[];
    readonly volumes?: readonly { readonly name: string; readonly [field: string]: unknown }[];
    readonly securityContext?: Record<string, unknown>;
    readonly tolerations?: readonly object[];
    readonly affinity?: Record<string, unknown>;
    readonly [field: string]: unknown;
  };
}

/** A template that has what a worker needs. */
export interface WorkerPodTemplate {
  /** What it was, with the labels by which workers are found. */
  readonly metadata: { readonly labels: Record<string, string>; readonly [field: string]: unknown };
  /** What it was, with the slot, the user and the credentials. */
  readonly spec: {
    readonly securityContext: Record<string, unknown>;
    readonly containers: readonly (Container & Required<Pick<Container, "securityContext">>)[];
    readonly volumes: readonly { readonly name: string; readonly [field: string]: unknown }[];
    readonly [field: string]: unknown;
  };
}

/** The parts of a container that {@link withWorkerScratch} reads. */
export interface Container {
  /** As Kubernetes has it. */
  readonly name: string;
  /** The contract's variables are added. */
  readonly env?: readonly { readonly name: string; readonly [field: string]: unknown }[];
  /** The slot, the contract and the credentials are added. */
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly [field: string]: unknown;
  }[];
  /** Restricted; what contradicts that is an error. */
  readonly securityContext?: Record<string, unknown>;
  readonly [field: string]: unknown;
}

/**
 * How a Deployment with a worker's template must be set: one pod a slot, and the old one gone before the new
 * one comes. With the default, a rollout would wait for ever for a second pod that the slot doesn't take.
 */
export const ONE_POD_A_SLOT = { replicas: 1, strategy: { type: "Recreate" } } as const;

/**
 * What a worker needs of its pod, by where it goes: the slot at the contract's mount path, the slot's own user
 * and no other group, its tenant's credentials as files, who it is in the environment, and a rule for the
 * scheduler that no second worker runs on the slot, which is what limits extractions on a node to its slots.
 * Throws when the contract has no such slot or tenant, or when the slot is another tenant's.
 */
export function workerScratchFragment({
  contract,
  slot: slotName,
  tenant: tenantId,
  metrics = false,
}: WorkerScratchUse) {
  const slot = found("slot", slotName, contract.slots, (entry) => entry.name);
  const tenant = found("tenant", tenantId, contract.tenants, (entry) => entry.id);
  if (slot.tenant !== null && slot.tenant !== tenant.id) {
    const own = contract.slots.filter((entry) => entry.tenant === null || entry.tenant === tenant.id);
    throw new Error(
      `slot ${slot.name} is kept for tenant ${slot.tenant}, not ${tenant.id}, who may use ` +
        `${own.map(({ name }) => name).join(", ") || "none"}; change isolation.slotTenants to give it one`,
    );
  }
  const objectStorage = tenant.objectStorageSecret;
  return {
    labels: {
      ...labels(contract.environment, "worker"),
      ...(slot.placement && { [POOL_LABEL]: slot.placement.pool, [GROUP_LABEL]: slot.placement.group }),
      [TENANT_LABEL]: tenant.id,
      [VOLUME_LABEL]: slot.name,
      ...(metrics && { [METRICS_LABEL]: "true" }),
    },
    pod: {
      serviceAccountName: tenant.serviceAccount ?? contract.worker.serviceAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      ...userNamespace(contract.userNamespaces),
      // Not the upload group: files get it from the volume's root, and a member could read every volume.
      securityContext: podSecurity(slot.runAsUser),
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            aloneOnItsSlot(contract.environment, slot.name),
            ...(slot.placement ? [awayFromOtherGroups(contract.environment, slot.placement)] : []),
          ],
        },
      },
    },
    tolerations: contract.tolerations,
    container: {
      env: [
        { name: "VIDEO_STORAGE_CONTRACT", value: CONTRACT_FILE },
        { name: "VIDEO_STORAGE_TENANT", value: tenant.id },
        { name: "VIDEO_STORAGE_VOLUME", value: slot.name },
        fieldVariable("NODE_NAME", "spec.nodeName"),
        fieldVariable("POD_NAME", "metadata.name"),
        fieldVariable("POD_NAMESPACE", "metadata.namespace"),
      ],
      securityContext: containerSecurity(),
      volumeMounts: [
        {
          name: "jobs",
          mountPath: contract.layout.mountPath,
          ...(slot.subPath !== null && { subPath: slot.subPath }),
        },
        { name: "contract", mountPath: directoryOf(CONTRACT_FILE), readOnly: true },
        { name: "catalogue", mountPath: CATALOGUE_CREDENTIALS_DIRECTORY, readOnly: true },
        ...(objectStorage === null
          ? []
          : [{ name: "object-storage", mountPath: OBJECT_STORAGE_CREDENTIALS_DIRECTORY, readOnly: true }]),
      ],
    },
    volumes: [
      claimVolume("jobs", slot.claim),
      configMapVolume("contract", CONTRACT_CONFIG_MAP),
      secretVolume("catalogue", tenant.catalogueSecret),
      ...(objectStorage === null ? [] : [secretVolume("object-storage", objectStorage)]),
    ],
  };
}

/**
 * A pod's template, of a Pod, Job, Deployment ({@link ONE_POD_A_SLOT}) or StatefulSet of one replica, with all
 * that {@link workerScratchFragment} says. The container is the only one unless it is named. What the template
 * says differently is an error and not overridden: a pod with another user would write what nobody can clean.
 */
export function withWorkerScratch(
  template: PodTemplate,
  use: WorkerScratchUse,
  container?: string,
): WorkerPodTemplate {
  const fragment = workerScratchFragment(use);
  const { metadata, spec } = template;
  const names = spec.containers.map(({ name }) => name);
  const target = container ?? (names.length === 1 ? names[0] : undefined);
  const problems: string[] = [];
  if (target === undefined || !names.includes(target)) {
    problems.push(`it has the containers ${names.join(", ")}, of which ${container ?? "one"} must be named`);
  }
  const merge = <Given extends object, Ours extends object>(where: string, given: Given, ours: Ours) => {
    for (const [field, value] of Object.entries(ours)) {
      const own = (given as Record<string, unknown>)[field];
      if (own === undefined || JSON.stringify(own) === JSON.stringify(value)) continue;
      problems.push(
        `${where}${field} is ${JSON.stringify(own)}; leave it out or set ${JSON.stringify(value)}`,
      );
    }
    return { ...given, ...ours };
  };
  const append = <Given extends object, Ours extends object>(
    where: string,
    given: readonly Given[],
    ours: readonly Ours[],
    keyOf: (entry: Given | Ours) => string,
  ) => {
    for (const entry of given) {
      if (ours.some((own) => keyOf(own) === keyOf(entry)))
        problems.push(`${where} has ${keyOf(entry)} already`);
    }
    return [...given, ...ours];
  };
  const nameOf = (entry: object) => (entry as { name: string }).name;
  const pathOf = (entry: object) => (entry as { mountPath: string }).mountPath;

  const { securityContext, affinity, ...plain } = fragment.pod;
  const merged = {
    ...template,
    metadata: { ...metadata, labels: merge("metadata.labels.", metadata?.labels ?? {}, fragment.labels) },
    spec: {
      ...merge("spec.", spec, plain),
      securityContext: merge("spec.securityContext.", spec.securityContext ?? {}, securityContext),
      affinity: merge("spec.affinity.", spec.affinity ?? {}, affinity),
      ...(fragment.tolerations.length > 0 && {
        tolerations: [...(spec.tolerations ?? []), ...fragment.tolerations],
      }),
      containers: spec.containers.map((entry) => ({
        ...entry,
        // Every container of the pod: the restricted standard asks it of each.
        securityContext: merge(
          `container ${entry.name}: securityContext.`,
          entry.securityContext ?? {},
          fragment.container.securityContext,
        ),
        ...(entry.name === target && {
          env: append(`container ${target}: env`, entry.env ?? [], fragment.container.env, nameOf),
          volumeMounts: append(
            `container ${target}: volumeMounts`,
            entry.volumeMounts ?? [],
            fragment.container.volumeMounts,
            pathOf,
          ),
        }),
      })),
      volumes: append("spec.volumes", spec.volumes ?? [], fragment.volumes, nameOf),
    },
  };
  if (problems.length > 0) {
    throw new Error(`the worker's pod template can't take its slot ${use.slot}:\n  ${problems.join("\n  ")}`);
  }
  return merged;
}

/** Nothing on the slot's node that is a worker of the same slot. The volume pins its workers to that node. */
export function aloneOnItsSlot(environment: string, slot: string) {
  return {
    labelSelector: { matchLabels: { ...selectorLabels(environment, "worker"), [VOLUME_LABEL]: slot } },
    topologyKey: "kubernetes.io/hostname",
  };
}

export interface WorkerPodArgs extends WorkerScratchUse {
  /** The worker's image, by digest. */
  readonly image: string;
  /** Empty for the image's own. */
  readonly command?: readonly string[];
  /** Of the command; empty for the image's own. */
  readonly args?: readonly string[];
  /** More environment variables, none of them secret. */
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  /** Default: 50m CPU and 64Mi, limited to 512Mi and 128Mi of the node's own disk. */
  readonly resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
}

/** Metadata and spec of a worker's whole pod that ends with its work: see {@link withWorkerScratch}. */
export function buildWorkerPod(args: WorkerPodArgs) {
  return withWorkerScratch(
    {
      spec: {
        restartPolicy: "Never",
        containers: [
          {
            name: "worker",
            image: args.image,
            imagePullPolicy: "IfNotPresent",
            ...(args.command && { command: [...args.command] }),
            ...(args.args && { args: [...args.args] }),
            ...(args.env && { env: args.env }),
            resources: args.resources ?? {
              requests: { cpu: "50m", memory: "64Mi", "ephemeral-storage": "16Mi" },
              limits: { memory: "512Mi", "ephemeral-storage": "128Mi" },
            },
          },
        ],
      },
    },
    args,
  );
}

function found<T>(what: string, wanted: string, entries: readonly T[], nameOf: (entry: T) => string): T {
  const entry = entries.find((candidate) => nameOf(candidate) === wanted);
  if (entry) return entry;
  throw new Error(
    `the contract has no ${what} ${JSON.stringify(wanted)}; it has ${entries.map(nameOf).join(", ")}`,
  );
}

function directoryOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/"));
}
