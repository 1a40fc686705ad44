import { readFileSync } from "node:fs";
import { checkServerIdentity } from "node:tls";
import type { ConnectionOptions } from "node:tls";

export interface TlsSettings {
  readonly host: string;
  readonly tls: boolean;
  /** PEM file with the certificates that are believed. Default: those that Node believes. */
  readonly caFile?: string | null;
}

/**
 * What pg wants as `ssl`. There is nothing between "encrypted, to the host that was meant" and "not encrypted": a
 * certificate that isn't checked only keeps out who doesn't try.
 */
export function tlsOptions({ host, tls, caFile }: TlsSettings): false | ConnectionOptions {
  if (!tls) return false;
  const options: ConnectionOptions = {
    rejectUnauthorized: true,
    // Where the host is an address, Node would compare the certificate with the name "localhost".
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  };
  if (caFile == null) return options;
  // A getter, so that a renewed file is taken up by the next connection.
  return Object.defineProperty(options, "ca", { enumerable: true, get: () => readFileSync(caFile, "utf8") });
}
