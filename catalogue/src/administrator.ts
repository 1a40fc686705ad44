import pg from "pg";
import { translated } from "./errors.js";
import { tlsOptions } from "./tls.js";

export interface AdministratorOptions {
  /** Whether a server that doesn't prove who it is, is refused, whatever the URL says. Default: as the URL says. */
  readonly requireTls?: boolean;
  /** PEM file with the certificates that are believed. Default: the URL's `sslrootcert`, else those of Node. */
  readonly caFile?: string;
}

/** A URL of an administrator that can't be used: what is wrong with it, never the URL. */
export class InvalidAdministratorUrlError extends Error {
  override readonly name = "InvalidAdministratorUrlError";
}

// As libpq knows them. "require" encrypts to whoever answers; here it means what those who write it want it to.
const ENCRYPTED = ["require", "verify-ca", "verify-full"];

/** What pg needs to connect as the URL says. Throws {@link InvalidAdministratorUrlError}. */
export function administratorSettings(
  text: string,
  { requireTls = false, caFile }: AdministratorOptions = {},
): pg.ClientConfig {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === "" || url.username === "") {
    throw new InvalidAdministratorUrlError(
      "the administrator's URL must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with % before what isn't a letter or digit",
    );
  }
  const mode = url.searchParams.get("sslmode");
  if (mode !== null && mode !== "disable" && !ENCRYPTED.includes(mode)) {
    throw new InvalidAdministratorUrlError(
      `the administrator's URL has sslmode=${mode}, by which anybody may answer for the server: use verify-full, or disable where nothing is to be encrypted`,
    );
  }
  if (requireTls && mode === "disable") {
    throw new InvalidAdministratorUrlError(
      "the administrator's URL has sslmode=disable, and this environment requires TLS: leave it out, or use verify-full",
    );
  }
  const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, "$1");
  return {
    host,
    port: url.port === "" ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || decodeURIComponent(url.username),
    ssl: tlsOptions({
      host,
      tls: requireTls || (mode !== null && mode !== "disable"),
      caFile: caFile ?? url.searchParams.get("sslrootcert"),
    }),
    connectionTimeoutMillis: 5_000,
    application_name: "video-storage migrations",
  };
}

/** Connects for as long as the work takes. Throws the errors of errors.ts. */
export async function asAdministrator<T>(
  url: string,
  options: AdministratorOptions,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const settings = administratorSettings(url, options);
  const client = new pg.Client(settings);
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw translated(error, `${settings.host}:${settings.port}/${settings.database}`);
  } finally {
    await client.end().catch(() => undefined);
  }
}
