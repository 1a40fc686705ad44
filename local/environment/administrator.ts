import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { connect } from "@video-storage/catalogue/connection";
import type { Catalogue } from "@video-storage/catalogue/connection";
import { writeWholeFile } from "../whole-file.js";

/** Login of the database's administrator. */
export const ADMINISTRATOR = "postgres";

/** Name of the database that holds the catalogue. */
export const DATABASE_NAME = "storage";

/** Where Postgres listens. */
export const POSTGRES_PORT = 5432;

/** The administrator's password, made at first use and kept. Secret. */
export async function adminPassword(stateDirectory: string): Promise<string> {
  const file = join(stateDirectory, "postgres-password");
  return readFile(file, "utf8").catch(async () => {
    const made = randomBytes(24).toString("base64url");
    await writeWholeFile(file, made);
    return made;
  });
}

/** URL of the administrator's login at a host. Secret. */
export function adminUrl(password: string, host: string): string {
  return `postgres://${ADMINISTRATOR}:${password}@${host}:${POSTGRES_PORT}/${DATABASE_NAME}`;
}

/** Connects as the administrator to where this machine reaches the database. */
export async function connectAsAdministrator(
  stateDirectory: string,
  address: { host: string; port: number },
): Promise<Catalogue> {
  const password = await adminPassword(stateDirectory);
  return connect({ ...address, database: DATABASE_NAME, user: ADMINISTRATOR, password, tls: false });
}
