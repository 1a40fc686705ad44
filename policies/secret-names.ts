/** A word that ends in what a secret is called, such as PGPASSWORD; TOKENIZERS is another. */
const SECRET_NAME =
  /(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(?:PRIVATE|ACCESS|API)_?KEY|CONNECTION_?STRING)S?(?:KEY|HASH|VALUE|\d+)?(?:_|$)/;
/** A name that says where the secret is, how it is called, how long it is or lives, rather than what it is. */
const ABOUT_A_SECRET =
  /(?:^|_)(?:MAX|MIN|NUM)_|_(?:FILE|PATH|DIRECTORY|DIR|NAME|NAMESPACE|REF|ARN|ENDPOINT|URL|TTL|SECOND|MINUTE|ROTATION|VERSION|ID|COUNT|ENABLED|LENGTH|SIZE|LIMIT)S?$/;
/** Vault calls the secret half of a login so. */
const SECRET_ID = /(?:^|_)(?:VAULT|APPROLE)_(?:\w+_)?SECRET_ID$/;
const CREDENTIALS = [
  /\b[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/i,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/,
  /\bgh[pousr]_[A-Za-z0-9]{30,}/,
  /\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\./,
  /[?&](?:X-Amz-Signature|X-Goog-Signature|sig)=/i,
];

/** Whether a variable, key or option of this name holds a secret. */
export function isSecretName(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/[^A-Za-z0-9]+/g, "_")
    .toUpperCase();
  return SECRET_ID.test(words) || (SECRET_NAME.test(words) && !ABOUT_A_SECRET.test(words));
}

/** A shorter text beside such a name is a choice, such as `credentials: secret`. */
export const SHORTEST_SECRET = 8;

/** Whether a value shows credentials by its own form: a URL with a password, a private key, a cloud's key, a token. */
export function holdsCredentials(value: string): boolean {
  return CREDENTIALS.some((form) => form.test(value));
}
