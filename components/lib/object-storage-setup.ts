import type { BucketRole } from "./bucket-policies.js";

/** Where the set-up job finds things. */
export const SETUP_DIRECTORY = "/etc/object-storage-setup";
export const SETUP_SECRETS = "/run/secrets/object-storage-setup";
const WORK_DIRECTORY = "/work";

/**
 * A shell script that brings a MinIO server to what is declared, however far an earlier run came: the bucket with
 * its versions and encryption, and a user with a policy for every role, and no other user. It needs `sh`, `cat`,
 * `mkdir`, `sleep` and `mc`. Keys reach `mc` through its configuration file and standard input: arguments and
 * environment of a process can be read from outside it. The lifecycle rules are the probe's, which reads them back.
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
    `settings="\${SETUP_DIRECTORY:-${SETUP_DIRECTORY}}"`,
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
    ...roles.flatMap(({ name }) => [
      "",
      `client admin policy create store ${name} "$settings/${name}.json"`,
      `client admin user add store ${name} < "$secrets/${name}"`,
      `client admin policy attach store ${name} --user ${name}`,
    ]),
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
