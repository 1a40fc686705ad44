import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import type { TenantId } from "@video-storage/contract/identity";

import { catalogueLogins, catalogueSecretName } from "./lib/catalogue-logins.js";
import { childOptions } from "./lib/child-options.js";
import { contentNamed } from "./lib/content-named-job.js";
import { labels } from "./lib/labels.js";
import type { Role } from "./lib/labels.js";
import { buildMigrationsJob, LOGIN_PASSWORDS_DIRECTORY } from "./lib/migrations-job.js";

export interface CatalogueArgs {
  /** Name of the stack, in the labels of everything. */
  readonly environment: string;
  /** Namespace of the workers, who get their credentials there. */
  readonly namespace: string;
  /** Namespace in which the migrations run. */
  readonly systemNamespace: string;
  /** Each gets a login `worker_TENANT` and a Secret with it. */
  readonly tenants: readonly TenantId[];
  /** Image with the command `catalogue migrate`, by digest. */
  readonly migrationsImage: string;
  /** postgresql:// URL of a login that may create roles and the schema. Only the migrations job sees it. */
  readonly adminUrl: pulumi.Input<string>;
  /** Whether Postgres must prove by its certificate that it is the host that was meant. */
  readonly tls: boolean;
  /** PEM of the authorities that its certificate is checked against; null for those of the system. */
  readonly ca: string | null;
  /** Raised to replace every password. */
  readonly credentialRotation: number;
}

/**
 * The catalogue's schema, roles and logins, in a Postgres that exists already, and a Secret with the
 * credentials of each role and tenant. What uses the catalogue should depend on this component: it is
 * ready when the migrations have run.
 */
export class Catalogue extends pulumi.ComponentResource {
  /** Name of the migrations job that made the catalogue what it is. */
  readonly migrationsJob: pulumi.Output<string>;

  constructor(name: string, args: CatalogueArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("video-storage:kubernetes:Catalogue", name, {}, opts);
    const { environment, systemNamespace } = args;
    const child = (own?: pulumi.CustomResourceOptions) => childOptions(this, opts, own);
    const metadata = (
      objectName: string,
      namespace = systemNamespace,
      role: Role = "catalogue-migrations",
    ) => ({
      name: objectName,
      namespace,
      labels: labels(environment, role),
    });

    const logins = catalogueLogins(args.tenants);
    const keepers = { rotation: String(args.credentialRotation) };
    const passwords = Object.fromEntries(
      logins.map(({ login, owner }) => [
        login,
        new random.RandomPassword(
          `${name}-${owner}-password`,
          { length: 40, special: false, keepers },
          { parent: this },
        ).result,
      ]),
    );
    const loginsFile = JSON.stringify(
      logins.map(({ login, role, tenantId }) => ({
        login,
        role,
        ...(tenantId !== undefined && { tenantId }),
        passwordFile: `${LOGIN_PASSWORDS_DIRECTORY}/${login}`,
      })),
    );

    const admin = new k8s.core.v1.Secret(
      `${name}-admin`,
      { metadata: metadata("catalogue-admin"), stringData: { url: args.adminUrl } },
      child(),
    );
    const loginPasswords = new k8s.core.v1.Secret(
      `${name}-logins`,
      { metadata: metadata("catalogue-logins"), stringData: passwords },
      child(),
    );
    const loginList = new k8s.core.v1.ConfigMap(
      `${name}-logins`,
      {
        metadata: metadata("catalogue-logins"),
        data: { "logins.json": loginsFile, ...(args.ca !== null && { "ca.crt": args.ca }) },
      },
      child(),
    );
    const job = buildMigrationsJob({
      environment,
      namespace: systemNamespace,
      image: args.migrationsImage,
      adminSecret: "catalogue-admin",
      passwordsSecret: "catalogue-logins",
      loginsConfigMap: "catalogue-logins",
      tls: args.tls,
      hasCa: args.ca !== null,
    });
    const migrations = new k8s.batch.v1.Job(
      `${name}-migrations`,
      {
        metadata: {
          ...job.metadata,
          name: contentNamed("catalogue-migrations", [
            job.spec,
            loginsFile,
            args.ca,
            passwords,
            args.adminUrl,
          ]),
        },
        spec: job.spec,
      },
      child({ dependsOn: [admin, loginPasswords, loginList] }),
    );
    for (const { login, owner, role } of logins) {
      // Auditors and the monitoring work from outside the workers' namespace, so their credentials are not there.
      const [namespace, label]: [string, Role] =
        role === "auditor" || role === "monitor" || role === "archivist"
          ? [systemNamespace, "catalogue"]
          : [args.namespace, role];
      new k8s.core.v1.Secret(
        `${name}-${owner}`,
        {
          metadata: metadata(catalogueSecretName(owner), namespace, label),
          stringData: { username: login, password: passwords[login]! },
        },
        child({ dependsOn: [migrations] }),
      );
    }

    this.migrationsJob = migrations.metadata.name;
    this.registerOutputs({ migrationsJob: this.migrationsJob });
  }
}
