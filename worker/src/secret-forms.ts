/** Stands where a secret stood. */
export const REDACTED = "[redacted]";

type Replacement = readonly [pattern: RegExp, by: (...groups: string[]) => string];
const whole = (pattern: RegExp): Replacement => [pattern, () => REDACTED];

/** What shows by its form that it is a secret, beyond what detector.ts finds. Each pattern is linear in the text. */
export const SECRET_FORMS: readonly Replacement[] = [
  // Also without its end: a log line may have been cut. Line ends may be written as "\n".
  whole(/-----BEGIN ([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----[\s\S]*?(?:-----END \1-----|$)/g),
  whole(/PuTTY-User-Key-File-\d[\s\S]*?(?:Private-MAC: *[0-9a-f]+|$)/g),
  whole(/\bAGE-SECRET-KEY-1[0-9A-Z]{20,}/g),
  // Credentials in URLs. The last "@" before the host ends them: a password may hold one.
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#"'<>]*@/gi, (_all, scheme) => `${scheme}${REDACTED}@`],
  // Addresses that are secrets themselves.
  [
    /\b((?:https:\/\/)?hooks\.slack\.com\/(?:services|workflows|triggers)\/)[A-Za-z0-9/_-]{10,}/g,
    (_all, host) => `${host}${REDACTED}`,
  ],
  [
    /\b((?:https:\/\/)?(?:ptb\.|canary\.)?discord(?:app)?\.com\/api\/webhooks\/)[A-Za-z0-9/_-]{10,}/g,
    (_all, host) => `${host}${REDACTED}`,
  ],
  [/(\.webhook\.office\.com\/webhookb2\/)[A-Za-z0-9@/-]{20,}/g, (_all, host) => `${host}${REDACTED}`],
  [
    /\b(api\.telegram\.org\/(?:file\/)?bot)[0-9]{6,12}:[A-Za-z0-9_-]{20,}/g,
    (_all, host) => `${host}${REDACTED}`,
  ],
  [/\b(digest\s+username=)[^\r\n]+/gi, (_all, name) => `${name}${REDACTED}`],
  // Headers: the rest of the line.
  [
    /(?<![\w-])((?:set-)?cookie|(?:proxy-)?authorization|x-[a-z-]*(?:token|key|secret))(["']?[ \t]*:[ \t]*)["']?[^\r\n"']+/gi,
    (_all, name, separator) => `${name}${separator}${REDACTED}`,
  ],
  [
    /\b(bearer\s+)(?=[^\s"',;]*(?:[0-9_~+/=]|\.[A-Za-z0-9]))[A-Za-z0-9._~+/=-]{6,}|\b(bearer\s+)[A-Za-z]{20,}/gi,
    (_all, a, b) => `${a ?? b}${REDACTED}`,
  ],
  [
    /\b(basic\s+)([A-Za-z0-9+/]{6,}={0,2})(?![A-Za-z0-9+/=])/gi,
    (all, scheme, encoded) => (isUserAndPassword(encoded!) ? `${scheme}${REDACTED}` : all!),
  ],
  // Commands.
  [
    /(\s--?(?:[a-z0-9]+-)*(?:password|passwd|passphrase|token|secret|api-?key|access-?key|secret-?key|auth-?key)(?:\s+|=))(?!-|[a-z]{1,4}(?![^\s]))("[^"\r\n]*"|'[^'\r\n]*'|[^\s"']+)/gi,
    (_all, flag) => `${flag}${REDACTED}`,
  ],
  [
    /(\bcurl\b[^\r\n]{0,200}?\s(?:-u|--user|-U|--proxy-user)[= ]?)(?:"[^"\r\n]*:[^"\r\n]*"|'[^'\r\n]*:[^'\r\n]*'|[^\s"':]+:[^\s"']+)/g,
    (_all, command) => `${command}${REDACTED}`,
  ],
  [/(\bsshpass\s+-p\s*)("[^"\r\n]*"|'[^'\r\n]*'|[^\s"']+)/g, (_all, command) => `${command}${REDACTED}`],
  [/(\bmachine\s+\S{1,253}\s+login\s+\S{1,253}\s+password\s+)\S+/g, (_all, entry) => `${entry}${REDACTED}`],
  [
    /<([A-Za-z][\w.:-]{0,63})((?:\s[^<>]{0,200})?)>([^<>]{1,10000})<\/\1>/g,
    (all, name, attributes) =>
      SECRET_ELEMENT.test(name!) ? `<${name}${attributes}>${REDACTED}</${name}>` : all!,
  ],
  // Tokens that show by their form what they are.
  whole(/\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){2,4}/g),
  whole(/\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b/g),
  whole(/\b(?:FwoGZXIvYXdz|FQoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9+/=%]{20,}/g),
  whole(/\bAIza[A-Za-z0-9_-]{35}/g),
  whole(/\bya29\.[A-Za-z0-9_-]{20,}/g),
  whole(/\bGOCSPX-[A-Za-z0-9_-]{20,}/g),
  whole(/(?<![\w/])1\/\/0[A-Za-z0-9_-]{30,}/g),
  whole(/(?<![\w~.-])[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![\w~-])/g),
  whole(/\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,})/g),
  whole(/\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[A-Za-z0-9_-]{20,}/g),
  whole(/\b(?:ATATT3|ATCTT3|ATBB)[A-Za-z0-9_=-]{20,}/g),
  whole(/\b(?:xox[abeoprs]|xapp|xwfp)-[A-Za-z0-9-]{10,}/g),
  whole(/\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}/g),
  whole(/\bwhsec_[A-Za-z0-9+/=]{20,}/g),
  whole(/\bsk-(?:proj-|svcacct-|admin-|ant-|or-v1-)?[A-Za-z0-9_-]{32,}/g),
  whole(/\bnpm_[A-Za-z0-9]{36}\b/g),
  whole(/\bpypi-AgE[A-Za-z0-9_-]{40,}/g),
  whole(/\brubygems_[0-9a-f]{40,}/g),
  whole(/\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}/g),
  whole(/\bdo[opr]_v1_[0-9a-f]{40,}/g),
  whole(/\bdapi[0-9a-f]{32}(?:-\d)?\b/g),
  whole(/\bhf_[A-Za-z]{30,}/g),
  whole(/\br8_[A-Za-z0-9]{30,}/g),
  whole(/\bhv[sbr]\.[A-Za-z0-9_-]{20,}/g),
  whole(/\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{20,}/g),
  whole(/\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}/g),
  whole(/\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,}/g),
  whole(/\bkey-[0-9a-f]{32}\b/g),
  whole(/\b[0-9a-f]{32}-us[0-9]{1,2}\b/g),
  whole(/\bSK[0-9a-f]{32}\b/g),
  whole(/(?<![\w:])[0-9]{8,10}:AA[A-Za-z0-9_-]{32,34}(?![\w-])/g),
  whole(/\bsq0[a-z]{3}-[A-Za-z0-9_-]{20,}/g),
  whole(/\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b/g),
  whole(/\baccess_token\$(?:production|sandbox)\$[a-z0-9]{10,}\$[0-9a-f]{20,}/g),
  whole(/\bgl(?:sa|c)_[A-Za-z0-9_=]{30,}/g),
  whole(/\bNRAK-[A-Z0-9]{20,}/g),
  whole(/\bsntry[su]_[A-Za-z0-9+/=_-]{30,}/g),
  whole(/\blin_(?:api|oauth)_[A-Za-z0-9]{30,}/g),
  whole(/\b(?:secret|ntn)_[A-Za-z0-9]{40,}/g),
  whole(/\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b/g),
  whole(/\bfigd_[A-Za-z0-9_-]{30,}/g),
  whole(/\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b/g),
  whole(/\bsbp_[0-9a-f]{40}\b/g),
  whole(/\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9=._-]{30,}/g),
  whole(/\bops_eyJ[A-Za-z0-9_=-]{50,}/g),
  whole(/\bHRKU-[A-Za-z0-9_-]{30,}/g),
  whole(/\bfo1_[A-Za-z0-9_-]{40,}|\bfm[12][ar]?_[A-Za-z0-9+/=_-]{60,}/g),
  // Of passwords, what is stored of them: it can be guessed at without end.
  whole(
    /\$(?:2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|(?:1|5|6|y|7|apr1)\$[^\s:"'$]{1,40}\$(?:[^\s:"'$]{1,20}\$)?[./A-Za-z0-9]{20,90})/g,
  ),
  whole(/\$argon2(?:id|i|d)\$[A-Za-z0-9$=,+/]{40,}/g),
  whole(/\bSCRAM-SHA-(?:1|256|512)\$[0-9]+:[A-Za-z0-9+/=$:]{40,}/g),
];

const SECRET_ELEMENT =
  /^(?:[\w.-]+:)?(?:[\w.-]*(?:password|passwd|secret|token|apikey|api-key|secretkey|accesskey))$/i;

/** Whether a base64 text is what Basic authentication sends. */
export function isUserAndPassword(encoded: string): boolean {
  return /^[\x21-\x7e][\x20-\x7e]*:[\x20-\x7e]+$/.test(Buffer.from(encoded, "base64").toString("latin1"));
}
