import { REPLACE_UNREADY } from "./annotations.js";
import { triedAgainOnly } from "./job-retries.js";
import { labels } from "./labels.js";
import { configMapVolume, secretVolume } from "./mounts.js";
import { containerSecurity, podSecurity, SETUP_USER } from "./security-context.js";

/** Where the migrations job finds one file for each login, with its password. */
export const LOGIN_PASSWORDS_DIRECTORY = "/run/secrets/catalogue-logins";

export interface MigrationsJobArgs {
  readonly environment: string;
  readonly namespace: string;
  readonly image: string;
  /** Secret with `url`. */
  readonly adminSecret: string;
  /** Secret with one key for each login. */
  readonly passwordsSecret: string;
  /** ConfigMap with `logins.json`, and `ca.crt` where `hasCa`. */
  readonly loginsConfigMap: string;
  /** Whether a server is refused that doesn't prove by its certificate who it is. */
  readonly tls: boolean;
  readonly hasCa: boolean;
}

/** Brings the schema and the logins to what this release needs; a second run changes nothing. */
export function buildMigrationsJob(args: MigrationsJobArgs) {
  const podLabels = labels(args.environment, "catalogue-migrations");
  return {
    metadata: { namespace: args.namespace, labels: podLabels, annotations: REPLACE_UNREADY },
    spec: {
      // A migration that failed (1) or wrong usage (2) is no better the next time; a Postgres that is away (3) may be.
      ...triedAgainOnly("migrate", [3]),
      activeDeadlineSeconds: 300,
      template: {
        metadata: { labels: podLabels },
        spec: {
          restartPolicy: "Never",
          serviceAccountName: "catalogue-migrations",
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: podSecurity(SETUP_USER),
          containers: [
            {
              name: "migrate",
              image: args.image,
              imagePullPolicy: "IfNotPresent",
              // So that whoever waits for the job is told what went wrong, and not only that something did.
              terminationMessagePolicy: "FallbackToLogsOnError",
              args: [
                "migrate",
                "--admin-url-file",
                "/run/secrets/catalogue-admin/url",
                "--logins-file",
                "/etc/catalogue/logins.json",
                ...(args.tls ? ["--require-tls"] : []),
                ...(args.hasCa ? ["--ca-file", "/etc/catalogue/ca.crt"] : []),
              ],
              resources: {
                requests: { cpu: "50m", memory: "64Mi", "ephemeral-storage": "16Mi" },
                limits: { memory: "256Mi", "ephemeral-storage": "64Mi" },
              },
              securityContext: containerSecurity(),
              volumeMounts: [
                { name: "admin", mountPath: "/run/secrets/catalogue-admin", readOnly: true },
                { name: "passwords", mountPath: LOGIN_PASSWORDS_DIRECTORY, readOnly: true },
                { name: "logins", mountPath: "/etc/catalogue", readOnly: true },
              ],
            },
          ],
          volumes: [
            secretVolume("admin", args.adminSecret),
            secretVolume("passwords", args.passwordsSecret),
            configMapVolume("logins", args.loginsConfigMap),
          ],
        },
      },
    },
  };
}
