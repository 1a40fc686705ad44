import { CAPABILITIES_CONFIG_MAP } from "@video-storage/contract/object-storage-capabilities";
import { OBJECT_STORAGE_CREDENTIALS_DIRECTORY } from "@video-storage/contract/stack-contract";

import { REPLACE_UNREADY } from "./annotations.js";
import { triedAgainOnly } from "./job-retries.js";
import { labels } from "./labels.js";
import { configMapVolume, fieldVariable, secretVolume } from "./mounts.js";
import { containerSecurity, podSecurity, SETUP_USER } from "./security-context.js";

/** Name of the probe's ServiceAccount, roles, settings and Secret, in the system namespace. */
export const PROBE = "object-storage-probe";
const SETTINGS_DIRECTORY = "/etc/object-storage-probe";

export interface ProbeJobArgs {
  readonly environment: string;
  /** Namespace that it runs in; no worker does. */
  readonly namespace: string;
  readonly image: string;
  /** Secret with its access key; null where its ServiceAccount is its identity. */
  readonly secret: string | null;
}

/** The probe as a Job. It fails when a requirement isn't met, and its log says which. */
export function buildProbeJob({ environment, namespace, image, secret }: ProbeJobArgs) {
  const podLabels = labels(environment, "object-storage-probe");
  return {
    metadata: { namespace, labels: podLabels, annotations: REPLACE_UNREADY },
    spec: {
      // An endpoint that was away for a moment is tried again; what is missing doesn't come by trying.
      ...triedAgainOnly("probe", [3]),
      activeDeadlineSeconds: 600,
      template: {
        metadata: { labels: podLabels },
        spec: {
          restartPolicy: "Never",
          serviceAccountName: PROBE,
          // It leaves its report in one ConfigMap, and on its own Job.
          automountServiceAccountToken: true,
          enableServiceLinks: false,
          securityContext: podSecurity(SETUP_USER),
          containers: [
            {
              name: "probe",
              image,
              imagePullPolicy: "IfNotPresent",
              args: ["run", "--config", `${SETTINGS_DIRECTORY}/probe.json`, "--json"],
              env: [
                { name: "HOME", value: "/tmp" },
                fieldVariable("JOB_NAME", "metadata.labels['batch.kubernetes.io/job-name']"),
                fieldVariable("POD_NAMESPACE", "metadata.namespace"),
              ],
              terminationMessagePolicy: "FallbackToLogsOnError",
              resources: {
                requests: { cpu: "50m", memory: "64Mi", "ephemeral-storage": "16Mi" },
                limits: { memory: "256Mi", "ephemeral-storage": "32Mi" },
              },
              securityContext: containerSecurity(),
              volumeMounts: [
                { name: "settings", mountPath: SETTINGS_DIRECTORY, readOnly: true },
                ...(secret === null
                  ? []
                  : [
                      {
                        name: "object-storage",
                        mountPath: OBJECT_STORAGE_CREDENTIALS_DIRECTORY,
                        readOnly: true,
                      },
                    ]),
              ],
            },
          ],
          volumes: [
            configMapVolume("settings", PROBE),
            ...(secret === null ? [] : [secretVolume("object-storage", secret)]),
          ],
        },
      },
    },
  };
}

/** It may change the one ConfigMap that has its report, which is there already. */
export function buildReportRole(environment: string, namespace: string) {
  return {
    metadata: { name: PROBE, namespace, labels: labels(environment, "object-storage-probe") },
    rules: [
      {
        apiGroups: [""],
        resources: ["configmaps"],
        resourceNames: [CAPABILITIES_CONFIG_MAP],
        verbs: ["patch"],
      },
    ],
  };
}

/** It may write on the one Job that it is, for the stack to read. */
export function buildJobRole<Name>(environment: string, namespace: string, job: Name) {
  return {
    metadata: { name: PROBE, namespace, labels: labels(environment, "object-storage-probe") },
    rules: [{ apiGroups: ["batch"], resources: ["jobs"], resourceNames: [job], verbs: ["patch"] }],
  };
}

/** Binds the role of the probe's name in `namespace` to its ServiceAccount in the system namespace. */
export function buildProbeBinding(environment: string, namespace: string, systemNamespace: string) {
  return {
    metadata: { name: PROBE, namespace, labels: labels(environment, "object-storage-probe") },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: PROBE },
    subjects: [{ kind: "ServiceAccount", name: PROBE, namespace: systemNamespace }],
  };
}
