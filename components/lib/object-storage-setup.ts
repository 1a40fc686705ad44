import type { BucketPolicy } from "./bucket-policies.js";

/** A user of the S3 server, named after the role and, for workers, the tenant. */
export interface BucketUser {
  /** The user's access key id, which is its name; `worker-acme`, `uploader`, `cleanup`. */
  readonly accessKeyId: string;
  readonly policy: BucketPolicy;
}

/** Where the set-up job finds things. */
export const SETUP_DIRECTORY = "/etc/object-storage-setup";
export const SETUP_SECRETS = "/run/secrets/object-storage-setup";
const CLIENT_DIRECTORY = "/work/mc";

/**
 * A shell script that brings the server to what is declared, however far an earlier run came. It needs
 * `sh`, `cat`, `mkdir`, `sleep` and `mc`. Keys reach `mc` through its configuration file and standard
 * input: arguments and environment of a process can be read from outside it.
 */
export function setupScript(endpoint: string, bucket: string, users: readonly BucketUser[]): string {
  const target = `store/${bucket}`;
  return [
    "#!/bin/sh",
    "set -eu",
    "umask 077",
    `mkdir -p ${CLIENT_DIRECTORY}`,
    // printf and read are built into the shell, so that no process carries the key as an argument.
    `read -r user < ${SETUP_SECRETS}/root-user || true`,
    `read -r password < ${SETUP_SECRETS}/root-password || true`,
    `printf '{"version":"10","aliases":{"store":{"url":"${endpoint}","accessKey":"%s","secretKey":"%s","api":"S3v4","path":"on"}}}' \\`,
    `  "$user" "$password" > ${CLIENT_DIRECTORY}/config.json`,
    `client() { mc --config-dir ${CLIENT_DIRECTORY} --quiet --no-color "$@"; }`,
    "",
    "tries=0",
    "until client admin info store > /dev/null 2>&1; do",
    "  tries=$((tries + 1))",
    `  if [ "$tries" -ge 60 ]; then client admin info store; exit 1; fi`,
    "  sleep 1",
    "done",
    "",
    `client mb --ignore-existing ${target}`,
    `client version enable ${target}`,
    `client encrypt set sse-s3 ${target}`,
    `client ilm import ${target} < ${SETUP_DIRECTORY}/lifecycle.json`,
    `client anonymous set none ${target}`,
    ...users.flatMap(({ accessKeyId }) => [
      "",
      `client admin policy create store ${accessKeyId} ${SETUP_DIRECTORY}/${accessKeyId}.json`,
      `client admin user add store ${accessKeyId} < ${SETUP_SECRETS}/${accessKeyId}`,
      `client admin policy attach store ${accessKeyId} --user ${accessKeyId}`,
    ]),
    "",
    `echo "bucket ${bucket} is ready for ${users.length} users"`,
    "",
  ].join("\n");
}
