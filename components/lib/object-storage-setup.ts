import type { BucketRole } from "./bucket-policies.js";

/** Where the set-up job finds things. */
export const SETUP_DIRECTORY = "/etc/object-storage-setup";
export const SETUP_SECRETS = "/run/secrets/object-storage-setup";
/** There, what `minioIdentities` makes. */
export const IDENTITIES_FILE = "identities.zip";
const WORK_DIRECTORY = "/work";

/**
 * A shell script that brings a MinIO server to what is declared, however far an earlier run came: the bucket with
 * its versions and encryption, and a user with a policy for every role, and no other user. It needs `sh`, `cat`,
 * `mkdir`, `sleep` and `mc`. Keys reach `mc` by files: arguments and environment of a process can be read from outside
 * it. The lifecycle rules are the probe's, which reads them back.
 */
export function setupScript(
  endpoint: string,
  bucket: string,
  roles: readonly Pick<BucketRole, "name">[],
): string {
  const target = `store/${bucket}`;
  return [
    "#!/bin/sh",
    "set -eu",
    "umask 077",
    `secrets="\${SETUP_SECRETS:-${SETUP_SECRETS}}"`,
    `mc_files="\${WORK_DIRECTORY:-${WORK_DIRECTORY}}/mc"`,
    `mkdir -p "$mc_files/certs/CAs"`,
    `cat "$secrets/ca.crt" > "$mc_files/certs/CAs/ca.crt"`,
    // printf and read are built into the shell, so that no process carries the key as an argument.
    `read -r user < "$secrets/root-user" || true`,
    `read -r password < "$secrets/root-password" || true`,
    `printf '{"version":"10","aliases":{"store":{"url":"${endpoint}","accessKey":"%s","secretKey":"%s","api":"S3v4","path":"on"}}}' \\`,
    `  "$user" "$password" > "$mc_files/config.json"`,
    `client() { mc --config-dir "$mc_files" --quiet --no-color "$@"; }`,
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
    `client anonymous set none ${target}`,
    "",
    "# It ends with 0 also when the server has refused a user: it can't read that answer, and imports again in an older way",
    "# that has none.",
    `imported="$(client admin cluster iam import store "$secrets/${IDENTITIES_FILE}")"`,
    `printf '%s\\n' "$imported"`,
    `case "$imported" in`,
    `  *Failed*) exit 1 ;;`,
    `  *"Added users: "*) ;;`,
    `  *) echo "the server didn't take every user, or it or mc is older than September 2024" >&2; exit 1 ;;`,
    "esac",
    "",
    "# Whoever is declared no longer, such as a tenant that left, has no access any more.",
    "client admin user list store | while read -r _ name _; do",
    `  case " ${roles.map(({ name }) => name).join(" ")} " in`,
    `    *" $name "*) ;;`,
    `    *) client admin user remove store "$name" ;;`,
    "  esac",
    "done",
    "",
    `echo "bucket ${bucket} is ready for ${roles.length} users"`,
    "",
  ].join("\n");
}
