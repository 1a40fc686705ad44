import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import type { PolicyDocument, PolicyStatement } from "../../components/lib/bucket-policies.js";
import { minioIdentities } from "../../components/lib/minio-identities.js";
import { buildPrograms } from "../../local/build/programs.js";

/** A new user of the MinIO at that endpoint who may do everything but what the policy denies. */
export async function newUser(
  endpoint: string,
  what: "must sign" | "must not write",
): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  const mc = path.join((await buildPrograms(["mc"]))["mc"]!, "mc");
  const user = { accessKeyId: `u${randomUUID().slice(0, 8)}`, secretAccessKey: randomUUID() };
  const all: PolicyStatement = { Effect: "Allow", Action: ["s3:*"], Resource: ["arn:aws:s3:::*"] };
  const denied: PolicyStatement = { Effect: "Deny", Action: ["s3:PutObject"], Resource: ["arn:aws:s3:::*"] };
  // As Amazon's documentation has it for requests whose body isn't signed.
  const condition = { StringEquals: { "s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD" } };
  const unsigned = { ...denied, Condition: condition };
  const policy: PolicyDocument = {
    Version: "2012-10-17",
    Statement: [all, what === "must sign" ? unsigned : denied],
  };
  const directory = await fs.mkdtemp(path.join(tmpdir(), "video-storage-s3-user-"));
  try {
    const archive = path.join(directory, "identities.zip");
    const { accessKeyId, secretAccessKey } = user;
    const identities = minioIdentities([{ name: accessKeyId, policy }], { [accessKeyId]: secretAccessKey });
    await fs.writeFile(archive, Buffer.from(identities, "base64"));
    const env = {
      ...process.env,
      MC_CONFIG_DIR: path.join(directory, "mc"),
      MC_HOST_test: endpoint.replace("://", "://minioadmin:minioadmin@"),
    };
    const imported = ["--quiet", "admin", "cluster", "iam", "import", "test", archive];
    expect((await promisify(execFile)(mc, imported, { env })).stdout).toContain(
      `Added users: ${accessKeyId}`,
    );
    return user;
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}
