import { readFile } from "node:fs/promises";
import path from "node:path";
import pg from "pg";
import type { CatalogueAddress } from "@video-storage/contract/schemas";
import { translated } from "./errors.js";
import { tlsOptions } from "./tls.js";

export { CatalogueBusyError, CatalogueRefusedError, CatalogueUnavailableError } from "./errors.js";

export interface CatalogueSettings extends CatalogueAddress {
  readonly user: string;
  /** A function is asked at every new connection, so that a rotated password is taken up. */
  readonly password: string | (() => Promise<string>);
  /** Default 5000. */
  readonly connectTimeoutMilliseconds?: number;
  /** Default 10000. */
  readonly statementTimeoutMilliseconds?: number;
}

export type Row = Record<string, unknown>;

export interface Queryable {
  /** Rows of one statement. Throws CatalogueUnavailableError, CatalogueRefusedError or, for a defect, pg's own error. */
  query<R extends Row = Row>(text: string, values?: readonly unknown[]): Promise<R[]>;
}

/** A few connections to the catalogue, opened when needed. They don't keep the process alive. */
export interface Catalogue extends Queryable {
  /** All of `work` or nothing of it. It must only use the connection that it is given. */
  transaction<T>(work: (connection: Queryable) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** `username` and `password` from a directory where a Secret is mounted. */
export async function credentialsFrom(
  directory: string,
): Promise<{ user: string; password: () => Promise<string> }> {
  const read = async (name: string): Promise<string> =>
    (await readFile(path.join(directory, name), "utf8")).replace(/\r?\n$/, "");
  return { user: await read("username"), password: () => read("password") };
}

/** Connects lazily: no error before the first query. Call `close` when done. */
export function connect(settings: CatalogueSettings): Catalogue {
  const where = `${settings.host}:${settings.port}/${settings.database}`;
  const statementTimeout = settings.statementTimeoutMilliseconds ?? 10_000;
  const pool = new pg.Pool({
    host: settings.host,
    port: settings.port,
    database: settings.database,
    user: settings.user,
    password: settings.password,
    ssl: tlsOptions(settings),
    max: 4,
    connectionTimeoutMillis: settings.connectTimeoutMilliseconds ?? 5_000,
    statement_timeout: statementTimeout,
    // Less, so that a row that somebody holds is told from a server that doesn't answer.
    lock_timeout: Math.ceil(statementTimeout / 3),
    // The server's own time-out can't fire when the network is gone.
    query_timeout: statementTimeout + 2_000,
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
    allowExitOnIdle: true,
    application_name: "video-storage",
    types: {
      getTypeParser: (oid, format) =>
        (oid === pg.types.builtins.INT8 ? safeInteger : pg.types.getTypeParser(oid, format)) as never,
    },
  });
  // An idle connection that breaks is replaced at the next query; without a listener it would end the process.
  pool.on("error", () => undefined);

  const run = async <R extends Row>(
    client: pg.Pool | pg.PoolClient,
    text: string,
    values: readonly unknown[] = [],
  ): Promise<R[]> => {
    try {
      return (await client.query<R>(text, [...values])).rows;
    } catch (error) {
      throw translated(error, where);
    }
  };

  return {
    query: (text, values) => run(pool, text, values),
    async transaction(work) {
      const client = await pool.connect().catch((error: unknown) => {
        throw translated(error, where);
      });
      let broken = false;
      // A connection that breaks between two statements says so here; without a listener it would end the process.
      const onBroken = (): void => void (broken = true);
      client.on("error", onBroken);
      try {
        await run(client, "BEGIN");
        const result = await work({ query: (text, values) => run(client, text, values) });
        await run(client, "COMMIT");
        return result;
      } catch (error) {
        await client.query("ROLLBACK").catch(() => (broken = true));
        throw error;
      } finally {
        client.off("error", onBroken);
        client.release(broken);
      }
    },
    close: () => pool.end(),
  };
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError(`${text} from the catalogue is beyond exact numbers`);
  return value;
}
