const SECRET_NAME =
  /(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|PRIVATE[-_]?KEY|ACCESS[-_]?KEY|API[-_]?KEY|CREDENTIAL|CONNECTION[-_]?STRING)/i;
/** A name that says where the secret is, how it is called or how long it lives, rather than what it is. */
const ABOUT_A_SECRET =
  /(?:FILE|PATH|DIRECTORY|DIR|NAME|NAMESPACE|REF|ARN|ENDPOINT|URL|TTL|SECONDS|ROTATION|VERSION|ID|COUNT|ENABLED)S?$/i;
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
  return SECRET_NAME.test(name) && !ABOUT_A_SECRET.test(name);
}

/** Whether a value shows credentials by its own form: a URL with a password, a private key, a cloud's key, a token. */
export function holdsCredentials(value: string): boolean {
  return CREDENTIALS.some((form) => form.test(value));
}
