import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";

import { parseTenantId } from "@video-storage/contract/identity";

import { bucketRoles } from "../../components/lib/bucket-policies.js";
import { minioIdentities } from "../../components/lib/minio-identities.js";
import { IDENTITIES_FILE, setupScript } from "../../components/lib/object-storage-setup.js";
import { buildPrograms } from "../../local/build/programs.js";
import type { S3Server } from "./s3-servers.js";

/**
 * Brings a MinIO server to what is declared, by the very script that the stack's set-up job runs. Roles get the keys that
 * are given, the others new ones.
 */
export async function setUp(
  server: S3Server,
  bucket: string,
  tenants: readonly string[],
  given: Readonly<Record<string, string>> = {},
): Promise<{ output: string; secrets: Record<string, string> }> {
  const programs = await buildPrograms(["mc"]);
  const roles = bucketRoles({ bucket, tenants: tenants.map(parseTenantId), probeAppliesLifecycle: true });
  const [keys, work] = ["keys", "work"].map((name) => join(server.directory, name));
  for (const directory of [keys!, work!]) await mkdir(directory, { recursive: true });
  const { accessKeyId, secretAccessKey } = server.administrator;
  await writeFile(join(keys!, "root-user"), accessKeyId);
  await writeFile(join(keys!, "root-password"), secretAccessKey);
  await copyFile(server.caFile, join(keys!, "ca.crt"));
  const secrets = Object.fromEntries(
    roles.map(({ name }) => [name, given[name] ?? randomBytes(20).toString("hex")]),
  );
  await writeFile(join(keys!, IDENTITIES_FILE), Buffer.from(minioIdentities(roles, secrets), "base64"));
  const child = spawn("sh", ["-c", setupScript(server.endpoint, bucket, roles)], {
    env: {
      PATH: [programs["mc"]!, process.env["PATH"]].join(delimiter),
      ...{ SETUP_SECRETS: keys, WORK_DIRECTORY: work },
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`the set-up ended with ${String(code)}:\n${output}`);
  return { output, secrets };
}
