import { readFileSync } from "node:fs";

import { labels } from "./labels.js";

// The limits of the policy pack, so that what is refused in the cluster is what is refused before it. The
// pack can't be imported from here (it is CommonJS), and it reads the same file.
const LIMITS = JSON.parse(
  readFileSync(new URL("../../policies/default-limits.json", import.meta.url), "utf8"),
) as Readonly<Record<"minimumClaim" | "maximumClaim", string>>;

/** The label of the ResourceQuotas that limit claims; without one of them in its namespace a claim is refused. */
export const CLAIM_QUOTA_LABEL = { "video-storage/limits": "claims" } as const;

export interface AdmissionPoliciesArgs {
  /** Name of the stack, in the labels of everything. */
  readonly environment: string;
  /** Begins the policies' names, which are cluster-wide. */
  readonly prefix: string;
  /** Namespaces in which the policies hold, for everybody. */
  readonly namespaces: readonly string[];
  /** Classes that a claim there may name, and whose PersistentVolumes must have a node and a size. */
  readonly storageClasses: readonly string[];
}

interface Validation {
  readonly expression: string;
  readonly message: string;
}

interface Rule {
  readonly name: string;
  readonly group: string;
  readonly resources: readonly string[];
  readonly validations: readonly Validation[];
  /** The kind of object that each request is judged beside; one must be there. */
  readonly beside?: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly labels: Record<string, string>;
  };
  /** For what has no namespace. */
  readonly matchCondition?: { readonly name: string; readonly expression: string };
}

/**
 * What must hold after the deployment too, whoever makes the object: the API server refuses it with the
 * message. ValidatingAdmissionPolicy is in every cluster since Kubernetes 1.30 and needs no webhook, which
 * could be down. Refused when the expression can't be evaluated.
 */
export function buildAdmissionPolicies(args: AdmissionPoliciesArgs) {
  return rules(args).flatMap((rule) => {
    const name = `${args.prefix}-${rule.name}`;
    return [buildPolicy(args, rule, name), buildBinding(args, rule, name)];
  });
}

function rules({ storageClasses }: AdmissionPoliciesArgs): Rule[] {
  const classes = JSON.stringify(storageClasses);
  const { minimumClaim, maximumClaim } = LIMITS;
  const spec = "object.spec";
  return [
    {
      name: "claim-bounded",
      group: "",
      resources: ["persistentvolumeclaims"],
      validations: [
        {
          expression: `has(${spec}.storageClassName) && ${spec}.storageClassName in ${classes}`,
          message: `the claim's class is not one of this namespace; set spec.storageClassName to one of ${storageClasses.join(", ")}`,
        },
        {
          expression: `${spec}.accessModes.all(mode, mode in ["ReadWriteOnce", "ReadWriteOncePod"])`,
          message: "a local disk has one node; use ReadWriteOnce",
        },
        {
          expression: [
            `quantity(${spec}.resources.requests.storage).compareTo(quantity("${minimumClaim}")) >= 0`,
            `quantity(${spec}.resources.requests.storage).compareTo(quantity("${maximumClaim}")) <= 0`,
          ].join(" && "),
          message: `the claim's size is out of bounds; ask for ${minimumClaim} to ${maximumClaim}`,
        },
      ],
    },
    {
      name: "claim-needs-quota",
      group: "",
      resources: ["persistentvolumeclaims"],
      beside: { apiVersion: "v1", kind: "ResourceQuota", labels: { ...CLAIM_QUOTA_LABEL } },
      validations: [
        {
          expression: `has(params.spec.hard) && ["requests.storage", "persistentvolumeclaims"].all(limit, limit in params.spec.hard)`,
          message:
            "the namespace's quota doesn't limit requests.storage and persistentvolumeclaims; nobody may claim a whole pool",
        },
      ],
    },
    {
      name: "pod-off-host",
      group: "",
      resources: ["pods"],
      validations: [
        {
          expression: `!has(${spec}.volumes) || ${spec}.volumes.all(volume, !has(volume.hostPath))`,
          message: "a volume of the pod is a path of its node, where no quota holds; use a claim",
        },
        {
          expression: ["hostNetwork", "hostPID", "hostIPC"]
            .map((field) => `(!has(${spec}.${field}) || !${spec}.${field})`)
            .join(" && "),
          message: "the pod shares a namespace with its node; leave hostNetwork, hostPID and hostIPC out",
        },
      ],
    },
    {
      name: "volume-pinned",
      group: "",
      resources: ["persistentvolumes"],
      matchCondition: {
        name: "ours",
        expression: `has(${spec}.storageClassName) && ${spec}.storageClassName in ${classes}`,
      },
      validations: [
        {
          expression: `!has(${spec}.hostPath)`,
          message: "a hostPath has no size and no node; use spec.local on a filesystem of its own",
        },
        {
          expression: `!has(${spec}.local) || has(${spec}.nodeAffinity)`,
          message: "the volume names no node; set spec.nodeAffinity.required",
        },
      ],
    },
  ];
}

function buildPolicy({ environment }: AdmissionPoliciesArgs, rule: Rule, name: string) {
  return {
    kind: "ValidatingAdmissionPolicy" as const,
    metadata: { name, labels: labels(environment, "isolation") },
    spec: {
      failurePolicy: "Fail",
      ...(rule.beside && { paramKind: { apiVersion: rule.beside.apiVersion, kind: rule.beside.kind } }),
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: [rule.group],
            apiVersions: ["v1"],
            // What was there before the policy may be changed for the better, status and finalizers included.
            operations: ["CREATE"],
            resources: [...rule.resources],
          },
        ],
      },
      ...(rule.matchCondition && { matchConditions: [rule.matchCondition] }),
      validations: rule.validations.map((validation) => ({ ...validation, reason: "Forbidden" })),
    },
  };
}

function buildBinding({ environment, namespaces }: AdmissionPoliciesArgs, rule: Rule, name: string) {
  return {
    kind: "ValidatingAdmissionPolicyBinding" as const,
    metadata: { name, labels: labels(environment, "isolation") },
    spec: {
      policyName: name,
      validationActions: ["Deny"],
      ...(rule.beside && {
        // Without a namespace here, those of the request's own namespace are meant.
        paramRef: { selector: { matchLabels: rule.beside.labels }, parameterNotFoundAction: "Deny" },
      }),
      ...(!rule.matchCondition && {
        matchResources: {
          namespaceSelector: {
            matchExpressions: [
              { key: "kubernetes.io/metadata.name", operator: "In", values: [...namespaces] },
            ],
          },
        },
      }),
    },
  };
}
