/** The catalogue can't be asked now; the same call may succeed later. */
export class CatalogueUnavailableError extends Error {
  override readonly name: string = "CatalogueUnavailableError";
}

/** One row can't be had now, because another login holds it; everything else can. */
export class CatalogueBusyError extends CatalogueUnavailableError {
  override readonly name: string = "CatalogueBusyError";
}

/** The catalogue answered and refused: a wrong login, another tenant's job, a change that is not the caller's to make. */
export class CatalogueRefusedError extends Error {
  override readonly name = "CatalogueRefusedError";
}

/** Logins that serve another database of the same server: nothing was changed. */
export class LoginsTakenError extends Error {
  override readonly name = "LoginsTakenError";

  constructor(taken: readonly { readonly login: string; readonly database: string }[]) {
    const list = taken.map(({ login, database }) => `${login} (database ${database})`).join(", ");
    const free = taken.map(({ login }) => `COMMENT ON ROLE "${login}" IS NULL;`).join(" ");
    super(
      `this Postgres server has these logins for another environment: ${list}. Logins belong to the whole server, so ` +
        "that each environment needs a server of its own. If that database is no longer in use, drop it, or give its " +
        `logins to this one: ${free}`,
    );
  }
}

const NETWORK_CODES = new Set([
  ...[
    "ECONNREFUSED",
    "ECONNRESET",
    "ECONNABORTED",
    "EPIPE",
    "ETIMEDOUT",
    "ENOTFOUND",
    "EAI_AGAIN",
    "EAI_FAIL",
  ],
  ...["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN"],
]);
// https://www.postgresql.org/docs/current/errcodes-appendix.html: connection trouble, out of resources,
// shutting down or starting, statement time-out, failed over to a read-only server, deadlock.
const UNAVAILABLE_STATES = /^(08...|53...|57P0[1-5]|57014|25006|40001|40P01)$/;
// 3D000 to 42883: no such database, or the migrations have not run. 54000: more rows than a tenant may have.
const LOCK_NOT_AVAILABLE = "55P03";
const TOO_MANY_CONNECTIONS = "53300";
const REFUSED_STATES = /^(28...|42501|23505|23514|3D000|3F000|42P01|42883|54000)$/;
// pg gives these no code.
const UNAVAILABLE_MESSAGES =
  /timeout exceeded when trying to connect|connection terminated|timeout expired|query read timeout|client has encountered a connection error|cannot use a pool after|client was closed/i;

/** The error as one of the two above; anything else (a defect) as it came. */
export function translated(error: unknown, where: string): unknown {
  if (!(error instanceof Error)) return error;
  const codes = [error, ...(error instanceof AggregateError ? (error.errors as unknown[]) : [])]
    .map((e) => (e as { code?: unknown }).code)
    .filter((c) => typeof c === "string");
  if (codes.some((c) => REFUSED_STATES.test(c))) {
    return new CatalogueRefusedError(`the catalogue at ${where} refused: ${error.message}`, { cause: error });
  }
  if (codes.includes(LOCK_NOT_AVAILABLE)) {
    return new CatalogueBusyError(
      `a row of the catalogue at ${where} is locked by someone else (${error.message}): try again later`,
      { cause: error },
    );
  }
  if (
    codes.some((c) => NETWORK_CODES.has(c) || UNAVAILABLE_STATES.test(c)) ||
    UNAVAILABLE_MESSAGES.test(error.message)
  ) {
    const remedy = codes.includes(TOO_MANY_CONNECTIONS)
      ? "end what holds them (pg_stat_activity says who), or raise the login's connectionLimit or the server's max_connections"
      : "is Postgres running, and may this pod connect to it?";
    return new CatalogueUnavailableError(
      `the catalogue at ${where} can't be reached now (${error.message || codes.join(", ")}): ${remedy}`,
      { cause: error },
    );
  }
  return error;
}
