import * as real from "@video-storage/catalogue/connection";
import type { Catalogue, Queryable } from "@video-storage/catalogue/connection";
import { point } from "./points.js";

export * from "@video-storage/catalogue/connection";

/** Killed before a statement is sent, or when it has its effect and nobody knows yet. */
function faulty(queryable: Queryable): Queryable["query"] {
  return async (text, values) => {
    const changes = /INSERT|UPDATE|DELETE/.test(text);
    if (changes) point();
    const rows = await queryable.query(text, values);
    if (changes) point();
    return rows as never;
  };
}

export function connect(...args: Parameters<typeof real.connect>): Catalogue {
  const catalogue = real.connect(...args);
  return {
    ...catalogue,
    query: faulty(catalogue),
    transaction: (work) => catalogue.transaction((connection) => work({ query: faulty(connection) })),
  };
}
