// Names are compared word by word, so that "accessToken", "access-token" and "ACCESS_TOKEN" are one name and
// "tokenizer" or "keyframe" none of them.
const LAST_WORDS = new Set([
  ...["password", "passwd", "passphrase", "passcode", "pwd", "secret", "secrets", "token", "authorization"],
  ...["cookie", "cookies", "credential", "credentials", "signature", "sig", "lsig", "hmac", "jwt", "bearer"],
  ...["apikey", "authkey", "privatekey", "secretkey", "accesskey", "otp", "totp"],
  ...["sessionid", "jsessionid", "phpsessid", "csrftoken", "hdnts", "hdnea", "hdntl"],
]);
const WORD_GROUPS = new Set([
  ...["api key", "access key", "access key id", "private key", "private key id", "secret key", "signing key"],
  ...["encryption key", "account key", "auth key", "shared key", "master key", "session id", "session key"],
  ...[
    "key pair id",
    "password hash",
    "google access id",
    "connection string",
    "connect sid",
    "encrypted key",
  ],
]);

// Words that are run together with another, as in PGPASSWORD.
const ENDINGS = /(?:password|passwd|passphrase|apikey|secretkey|accesskey|accesstoken|authtoken)$/;

/** Whether a field or parameter of that name holds a secret, by its name alone. */
export function isSecretName(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
  const last = words.at(-1);
  if (last === undefined) return false;
  const group = (size: number): boolean => WORD_GROUPS.has(words.slice(-size).join(" "));
  return LAST_WORDS.has(last) || ENDINGS.test(last) || group(2) || group(3);
}
