import { CATALOGUE_ROLES } from "@video-storage/catalogue/logins";
import type { CatalogueRole } from "@video-storage/catalogue/logins";
import type { TenantId } from "@video-storage/contract/identity";

/** A login of the catalogue. */
export interface CatalogueLogin {
  /** The name in Postgres, such as `worker_acme`. */
  readonly login: string;
  readonly role: CatalogueRole;
  /** The one tenant whose rows a worker's login reaches. */
  readonly tenantId?: TenantId;
  /** The name in Kubernetes, where underscores are not allowed: `worker-acme`. */
  readonly owner: string;
}

/** Every login that the stack needs: one for each tenant's workers and one for each other role. */
export function catalogueLogins(tenants: readonly TenantId[]): CatalogueLogin[] {
  return [
    ...tenants.map((tenantId) => ({
      // A hyphen would have to be quoted in every statement.
      login: `worker_${tenantId.replaceAll("-", "_")}`,
      role: "worker" as const,
      tenantId,
      owner: workerLoginOwner(tenantId),
    })),
    ...CATALOGUE_ROLES.filter((role) => role !== "worker").map((role) => ({
      login: role,
      role,
      owner: role,
    })),
  ];
}

export function workerLoginOwner(tenantId: TenantId): string {
  return `worker-${tenantId}`;
}

/** The Secret with a login's `username` and `password`. */
export function catalogueSecretName(owner: string): string {
  return `catalogue-${owner}`;
}
