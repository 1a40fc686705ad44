import { createHash, createPrivateKey, createPublicKey, webcrypto } from "node:crypto";
import type { KeyObject } from "node:crypto";

/** What a server and its clients are given, as PEM. */
export interface ServerCertificate {
  /** The authority's certificate, which clients check the server's against. */
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

export interface ServerCertificateArgs {
  /** 32 random bytes in base 64. Clients trust what is made from them; they leave the stack's state in no other form. */
  readonly authoritySeed: string;
  /** 32 other random bytes: new ones are a new key, under the same authority. */
  readonly serverSeed: string;
  /** Names and addresses that the server is reached by. */
  readonly hosts: readonly string[];
}

const ED25519 = { name: "Ed25519" } as const;

// A program that is run twice must declare the same, so no clock plays a part. Keys are replaced by rotation and
// not by date: the second one is RFC 5280's for a certificate without a date to end at (4.1.2.5).
const NOT_BEFORE = new Date("2026-01-01T00:00:00Z");
const NOT_AFTER = new Date("9999-12-31T23:59:59Z");

/**
 * A certificate for a server inside the cluster, and an authority that signs this one alone. The same seeds and
 * hosts give the same bytes: Ed25519 keys are their seed, and its signatures hold nothing random.
 */
export async function serverCertificate(args: ServerCertificateArgs): Promise<ServerCertificate> {
  // Loaded only where a certificate is made: it takes a tenth of a second that other programs needn't spend.
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto as never);
  const authority = await keysOf(args.authoritySeed);
  const server = await keysOf(args.serverSeed);
  const issuer = [{ CN: ["video-storage object storage authority"] }];
  const validity = { notBefore: NOT_BEFORE, notAfter: NOT_AFTER, signingAlgorithm: ED25519 };

  const authorityCertificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: issuer,
    serialNumber: serialNumber(authority.exported, []),
    keys: authority as never,
    extensions: [
      // It may sign servers and no further authority.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(authority.publicKey as never),
    ],
  });
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity,
    subject: [{ CN: [args.hosts[0]!] }],
    issuer: authorityCertificate.subjectName,
    serialNumber: serialNumber(server.exported, args.hosts),
    publicKey: server.publicKey as never,
    signingKey: authority.privateKey as never,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        args.hosts.map((value) => ({ type: /^[\d.]+$/.test(value) ? "ip" : "dns", value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey as never),
    ],
  });
  return {
    authority: `${authorityCertificate.toString("pem")}\n`,
    certificate: `${certificate.toString("pem")}\n`,
    key: server.key.export({ type: "pkcs8", format: "pem" }) as string,
  };
}

/** PKCS #8's frame around the seed of an Ed25519 key (RFC 8410). */
const PKCS8_FRAME = Buffer.from("302e020100300506032b657004220420", "hex");

async function keysOf(seed: string): Promise<{
  key: KeyObject;
  exported: Buffer;
  privateKey: webcrypto.CryptoKey;
  publicKey: webcrypto.CryptoKey;
}> {
  const bytes = Buffer.from(seed, "base64");
  if (bytes.length !== 32)
    throw new Error(`a key needs a seed of 32 bytes in base 64, and this one has ${bytes.length}`);
  const pkcs8 = Buffer.concat([PKCS8_FRAME, bytes]);
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const exported = createPublicKey(key).export({ type: "spki", format: "der" });
  return {
    key,
    exported,
    privateKey: await webcrypto.subtle.importKey("pkcs8", pkcs8, ED25519, true, ["sign"]),
    publicKey: await webcrypto.subtle.importKey("spki", exported, ED25519, true, ["verify"]),
  };
}

/** Another for every certificate that differs: clients refuse two of one authority with the same number. */
function serialNumber(publicKey: Buffer, hosts: readonly string[]): string {
  const hash = createHash("sha256").update(publicKey).update(JSON.stringify(hosts)).digest("hex");
  // Positive, and no longer than the 20 bytes of RFC 5280.
  return `1${hash.slice(1, 32)}`;
}
