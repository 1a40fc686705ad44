// The catalogue's schema, roles and logins in a Postgres of yours, and a Secret with the credentials of each.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { parseTenantId } from "@video-storage/contract/identity";

import { Catalogue } from "../../components/catalogue.js";

const config = new pulumi.Config();
const catalogue = new Catalogue(
  "catalogue",
  {
    environment: pulumi.getStack(),
    namespace: "encoders",
    systemNamespace: "encoders-system",
    tenants: ["acme", "globex"].map(parseTenantId),
    migrationsImage: config.require("catalogueImage"),
    adminUrl: config.requireSecret("catalogueAdminUrl"),
    tls: true,
    ca: null,
    credentialRotation: 1,
  },
  {
    providers: [
      new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") }),
      new random.Provider("random"),
    ],
  },
);

/** What uses the catalogue depends on the component, and so on this Job. */
export const migrationsJob = catalogue.migrationsJob;
