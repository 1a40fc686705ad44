import { webcrypto } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import * as x509 from "@peculiar/x509";
import { writeWholeFile } from "../whole-file.js";

x509.cryptoProvider.set(webcrypto as never);

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const YEARS = 10;

interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** Whom a certificate is for. */
interface Subject {
  readonly name: string;
  readonly groups?: readonly string[];
  /** Addresses and names that a server is reached by; none for a client. */
  readonly hosts?: readonly string[];
}

/** The cluster's certificate authority, kept below `directory` and made there at first use. */
export class CertificateAuthority {
  private readonly directory: string;
  private readonly authority: x509.X509Certificate;
  private readonly key: CryptoKey;

  private constructor(directory: string, authority: x509.X509Certificate, key: CryptoKey) {
    this.directory = directory;
    this.authority = authority;
    this.key = key;
  }

  static async open(directory: string): Promise<CertificateAuthority> {
    const file = join(directory, "ca.json");
    if (existsSync(file)) {
      const kept = JSON.parse(await readFile(file, "utf8")) as KeyPair;
      const key = await importKey(kept.key);
      return new CertificateAuthority(directory, new x509.X509Certificate(kept.certificate), key);
    }
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const keys = await newKeys();
    const authority = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: [{ CN: ["video-storage-local"] }],
      ...validity(),
      signingAlgorithm: ALGORITHM,
      keys: keys as never,
      extensions: [
        new x509.BasicConstraintsExtension(true, 1, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey as never),
      ],
    });
    const pair: KeyPair = { certificate: authority.toString("pem"), key: await exportKey(keys.privateKey) };
    await writeWholeFile(join(directory, "ca.crt"), pair.certificate, 0o644);
    await writeWholeFile(file, JSON.stringify(pair));
    return new CertificateAuthority(directory, authority, keys.privateKey);
  }

  get certificateFile(): string {
    return join(this.directory, "ca.crt");
  }

  get certificate(): string {
    return this.authority.toString("pem");
  }

  /** Files of a certificate and its key, made at first use and kept under the given file name. */
  async issue(
    file: string,
    subject: Subject,
  ): Promise<KeyPair & { certificateFile: string; keyFile: string }> {
    const certificateFile = join(this.directory, `${file}.crt`);
    const keyFile = join(this.directory, `${file}.key`);
    if (!existsSync(certificateFile) || !existsSync(keyFile)) {
      const pair = await this.sign(subject);
      await writeWholeFile(keyFile, pair.key);
      await writeWholeFile(certificateFile, pair.certificate, 0o644);
    }
    const [certificate, key] = await Promise.all([
      readFile(certificateFile, "utf8"),
      readFile(keyFile, "utf8"),
    ]);
    return { certificate, key, certificateFile, keyFile };
  }

  private async sign(subject: Subject): Promise<KeyPair> {
    const keys = await newKeys();
    const server = subject.hosts !== undefined;
    const purpose = server ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
    const extensions: x509.Extension[] = [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([purpose]),
    ];
    if (subject.hosts) {
      const names = subject.hosts.map((value) => ({
        type: /^[\d.]+$/.test(value) ? ("ip" as const) : ("dns" as const),
        value,
      }));
      extensions.push(new x509.SubjectAlternativeNameExtension(names));
    }
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: [...(subject.groups ?? []).map((group) => ({ O: [group] })), { CN: [subject.name] }],
      issuer: this.authority.subjectName,
      ...validity(),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey as never,
      signingKey: this.key as never,
      extensions,
    });
    return { certificate: certificate.toString("pem"), key: await exportKey(keys.privateKey) };
  }
}

function validity(): { notBefore: Date; notAfter: Date } {
  // An hour back: a certificate of this second is "not yet valid" to a clock that lags by less than one.
  const notBefore = new Date(Date.now() - 3_600_000);
  return { notBefore, notAfter: new Date(notBefore.getTime() + YEARS * 365 * 86_400_000) };
}

function serialNumber(): string {
  return Buffer.from(webcrypto.getRandomValues(new Uint8Array(12)))
    .toString("hex")
    .replace(/^./, "1");
}

function newKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

async function exportKey(key: CryptoKey): Promise<string> {
  const encoded = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key as never)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${encoded.replace(/(.{64})/g, "$1\n").trimEnd()}\n-----END PRIVATE KEY-----\n`;
}

function importKey(pem: string): Promise<CryptoKey> {
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
  return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, true, ["sign"]) as unknown as Promise<CryptoKey>;
}

type CryptoKey = webcrypto.CryptoKey;
type CryptoKeyPair = webcrypto.CryptoKeyPair;
