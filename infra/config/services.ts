import {
  boolean,
  duration,
  integer,
  oneOf,
  optional,
  record,
  unlessEmpty,
  size,
  text,
  withDefault,
} from "../checks.js";
import { certificates, hostName } from "./patterns.js";

const GIBIBYTE = 2n ** 30n;

/** The Postgres that holds the catalogue. */
export const catalogue = record({
  host: hostName,
  port: withDefault(integer(1, 65_535), 5432),
  database: withDefault(text(/^[a-z_][a-z0-9_]{0,62}$/, "a database name"), "storage"),
  tls: withDefault(boolean(), true),
  /** Certificates (PEM) that the server's is checked against; null for those of the system. */
  ca: optional(certificates),
});

/** The clamd that sees every source before it leaves the volume; null for none. */
export const scan = unlessEmpty(
  record({
    host: hostName,
    port: withDefault(integer(1, 65_535), 3310),
    maxSize: withDefault(size(1n), 4n * GIBIBYTE),
    timeout: withDefault(duration(1), 600),
    whenUndecided: withDefault(oneOf("refuse", "allow"), "refuse"),
  }),
);
