import { execFile } from "node:child_process";
import type { webcrypto } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import * as x509 from "@peculiar/x509";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { InvalidAdministratorUrlError, administratorSettings } from "@video-storage/catalogue/administrator";
import { connect } from "@video-storage/catalogue/connection";
import { tenantOfLogin } from "@video-storage/catalogue/jobs";
import { migrate } from "@video-storage/catalogue/migrate";
import { RUNS_TYPESCRIPT } from "../../infra/typescript.js";
import { startPostgres } from "../support/postgres.js";
import type { TestCatalogue, TestPostgres } from "../support/postgres.js";

/** A real Postgres with a certificate, which lets nobody but its administrator in without TLS. */

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY = 86_400_000;

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

async function authority(name: string): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ name: `CN=${name}`, keys, signingAlgorithm: ALGORITHM, serialNumber: "01" },
    ...{ notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + DAY) },
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return { certificate, keys };
}

async function serverCertificate(issuer: Authority, names: x509.JsonGeneralNames): Promise<[string, string]> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    ...{ subject: "CN=postgres", issuer: issuer.certificate.subject, serialNumber: "02" },
    ...{ publicKey: keys.publicKey, signingKey: issuer.keys.privateKey, signingAlgorithm: ALGORITHM },
    ...{ notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + DAY) },
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return [certificate.toString("pem"), x509.PemConverter.encode(key, "PRIVATE KEY")];
}

async function withCertificate(issuer: Authority, names: x509.JsonGeneralNames): Promise<TestPostgres> {
  const [certificate, key] = await serverCertificate(issuer, names);
  return startPostgres(async (directory, own) => {
    const files = {
      "server.crt": certificate,
      "server.key": key,
      "hba.conf":
        "hostnossl all postgres 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
    };
    for (const [name, content] of Object.entries(files)) {
      await fs.writeFile(path.join(directory, name), content, { mode: 0o600 });
      await own(path.join(directory, name));
    }
    const at = (name: string) => path.join(directory, name);
    return {
      ssl: "on",
      ssl_cert_file: at("server.crt"),
      ssl_key_file: at("server.key"),
      hba_file: at("hba.conf"),
    };
  });
}

let postgres: TestPostgres;
let elsewhere: TestPostgres;
let catalogue: TestCatalogue;
let other: TestCatalogue;
let directory: string;
let ca: string;
let wrongCa: string;

beforeAll(async () => {
  const [right, wrong] = [await authority("right"), await authority("wrong")];
  [postgres, elsewhere] = await Promise.all([
    withCertificate(right, [{ type: "ip", value: "127.0.0.1" }]),
    // Right by its authority, and of another host. Node would compare an address with "localhost".
    withCertificate(right, [
      { type: "dns", value: "localhost" },
      { type: "dns", value: "db.example.com" },
    ]),
  ]);
  catalogue = await postgres.createCatalogue(["acme"]);
  other = await elsewhere.createCatalogue(["acme"]);
  directory = await fs.mkdtemp("/tmp/video-storage-tls-");
  ca = path.join(directory, "ca.crt");
  wrongCa = path.join(directory, "wrong.crt");
  await fs.writeFile(ca, right.certificate.toString("pem"));
  await fs.writeFile(wrongCa, wrong.certificate.toString("pem"));
}, 120_000);
afterAll(async () => {
  await catalogue?.close();
  await other?.close();
  await postgres?.stop();
  await elsewhere?.stop();
  await fs.rm(directory, { recursive: true, force: true });
});

async function tenant(of: TestCatalogue, tls: boolean, caFile?: string): Promise<string | null> {
  const settings = { ...of.settings("worker_acme"), tls, ...(caFile !== undefined && { caFile }) };
  const connection = connect(settings);
  return tenantOfLogin(connection).finally(() => connection.close());
}

describe("a worker's connection", () => {
  it("is made to the Postgres that proves itself, and is encrypted", async () => {
    expect(await tenant(catalogue, true, ca)).toBe("acme");
    const connection = connect({ ...catalogue.settings("worker_acme"), tls: true, caFile: ca });
    expect(await connection.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).toEqual([
      { ssl: true },
    ]);
    await connection.close();
  });

  it("is refused to one of another authority, to one of none that is known, and to another host's", async () => {
    await expect(tenant(catalogue, true, wrongCa)).rejects.toThrow(
      /unable to verify|self.signed|unable to get/,
    );
    await expect(tenant(catalogue, true)).rejects.toThrow(/unable to verify|self.signed|unable to get/);
    await expect(tenant(other, true, ca)).rejects.toThrow(/does not match certificate|not in the cert/);
  });

  it("is refused without TLS by a server that wants it, and with TLS by a client whose server has none", async () => {
    await expect(tenant(catalogue, false)).rejects.toThrow(/no pg_hba\.conf entry .* no encryption/);
    const plain = await startPostgres();
    try {
      const without = await plain.createCatalogue(["acme"]);
      await expect(tenant(without, true, ca)).rejects.toThrow(/does not support SSL/);
      await without.close();
    } finally {
      await plain.stop();
    }
  });

  it("takes up a certificate file that was renewed", async () => {
    const renewed = path.join(directory, "renewed.crt");
    await fs.copyFile(wrongCa, renewed);
    const connection = connect({ ...catalogue.settings("worker_acme"), tls: true, caFile: renewed });
    await expect(tenantOfLogin(connection)).rejects.toThrow();
    await fs.copyFile(ca, renewed);
    expect(await tenantOfLogin(connection)).toBe("acme");
    await connection.close();
  });
});

describe("the administrator's connection", () => {
  it("holds the same, as the program's options say", async () => {
    expect(await migrate(catalogue.adminUrl.replace("postgres:", "postgresql:"), {})).toEqual([]);
    expect(await migrate(catalogue.adminUrl, { requireTls: true, caFile: ca })).toEqual([]);
    await expect(migrate(catalogue.adminUrl, { requireTls: true, caFile: wrongCa })).rejects.toThrow();
    await expect(migrate(other.adminUrl, { requireTls: true, caFile: ca })).rejects.toThrow(
      /does not match|not in the cert/,
    );
    const file = path.join(directory, "url");
    await fs.writeFile(file, `${catalogue.adminUrl}?sslmode=require`);
    const code = await new Promise((resolve) =>
      execFile(
        process.execPath,
        [
          ...RUNS_TYPESCRIPT,
          "catalogue/src/main.ts",
          "migrate",
          "--admin-url-file",
          file,
          "--require-tls",
          "--ca-file",
          ca,
        ],
        (error) => resolve(error?.code ?? 0),
      ),
    );
    expect(code).toBe(0);
  });

  it.each([
    ["postgres://a:b@h/d?sslmode=no-verify", {}, /sslmode=no-verify, by which anybody may answer/],
    ["postgres://a:b@h/d?sslmode=prefer", { requireTls: true }, /sslmode=prefer, by which anybody/],
    [
      "postgres://a:b@h/d?sslmode=disable",
      { requireTls: true },
      /sslmode=disable, and this environment requires TLS/,
    ],
    ["mysql://a:b@h/d", {}, /must be postgresql:\/\//],
    ["not a URL", {}, /must be postgresql:\/\//],
  ])("is not made by %s", (url, options, message) => {
    expect(() => administratorSettings(url, options)).toThrow(InvalidAdministratorUrlError);
    expect(() => administratorSettings(url, options)).toThrow(message);
  });

  it("takes a managed Postgres's URL as providers write them", () => {
    expect(
      administratorSettings("postgresql://us%40er:p%2Fw@[2001:db8::1]:6543/stor%20age?sslmode=require"),
    ).toMatchObject({
      ...{ host: "2001:db8::1", port: 6543, user: "us@er", password: "p/w", database: "stor age" },
      ssl: { rejectUnauthorized: true },
    });
    expect(administratorSettings("postgres://u:p@db.example.com/d")).toMatchObject({
      port: 5432,
      ssl: false,
    });
  });
});
