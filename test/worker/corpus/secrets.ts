/**
 * Secrets as they look in the wild. None is written here: each is put together at runtime from its documented form and
 * letters drawn from a seed, so that no scanner of repositories has anything to report and no key is anybody's.
 */
export interface SecretCase {
  readonly name: string;
  /** A text, or attributes. */
  readonly given: unknown;
  /** What must not be found in what comes out. */
  readonly secrets: readonly string[];
  /** What must. */
  readonly kept?: readonly string[];
}

let state = 20_261_122;
/** Mulberry32: the same letters in every run. */
function draw(below: number): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}
const letters =
  (alphabet: string) =>
  (count: number): string =>
    Array.from({ length: count }, () => alphabet[draw(alphabet.length)]).join("");
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const UPPER = LOWER.toUpperCase();
const DIGITS = "0123456789";
const hex = letters("0123456789abcdef");
const alpha = letters(LOWER + UPPER);
const upper = letters(UPPER + DIGITS);
const lower = letters(LOWER + DIGITS);
const word = letters(LOWER + UPPER + DIGITS);
const url64 = letters(LOWER + UPPER + DIGITS + "-_");
const digits = letters(DIGITS);
/** Base64 of random bytes, as keys are printed. */
const base64 = (bytes: number): string =>
  Buffer.from(Array.from({ length: bytes }, () => draw(256))).toString("base64");
const encode64 = (text: string): string => Buffer.from(text).toString("base64");
const encodeUrl64 = (text: string): string => Buffer.from(text).toString("base64url");
const join = (...parts: string[]): string => parts.join("");

const jwt = (): string =>
  [encodeUrl64('{"alg":"HS256","typ":"JWT"}'), encodeUrl64(`{"sub":"${digits(10)}"}`), url64(43)].join(".");
const password = (): string => `${word(10)}!7${word(4)}`;
const plainPassword = (): string => `${word(8)}7${word(5)}`;
const pem = (kind: string): [string, string] => {
  const body = Array.from({ length: 4 }, () => base64(48));
  return [`-----BEGIN ${kind}-----\n${body.join("\n")}\n-----END ${kind}-----`, body[1]!];
};

const tokens: readonly [name: string, token: string][] = [
  ["AWS access key id", join("AK", "IA", upper(16))],
  ["AWS temporary access key id", join("AS", "IA", upper(16))],
  ["AWS bearer key id", join("AB", "IA", upper(16))],
  ["AWS session token", join("IQoJb3JpZ2", "luX2Vj", word(180))],
  ["AWS session token, older", join("FwoGZXIv", "YXdz", word(180))],
  ["Google API key", join("AI", "za", url64(35))],
  ["Google OAuth access token", join("ya", "29.", url64(80))],
  ["Google OAuth client secret", join("GOC", "SPX-", url64(28))],
  ["Google OAuth refresh token", join("1/", "/0", url64(40))],
  ["Azure client secret", join(word(3), "8", "Q~", word(34))],
  ["GitHub personal token", join("gh", "p_", word(36))],
  ["GitHub OAuth token", join("gh", "o_", word(36))],
  ["GitHub server token", join("gh", "s_", word(36))],
  ["GitHub refresh token", join("gh", "r_", word(76))],
  ["GitHub fine-grained token", join("github", "_pat_", word(22), "_", word(59))],
  ["GitLab personal token", join("gl", "pat-", url64(20))],
  ["GitLab deploy token", join("gl", "dt-", url64(20))],
  ["GitLab runner token", join("gl", "rt-", url64(20))],
  ["Atlassian token", join("ATA", "TT3", url64(180))],
  ["Bitbucket app password", join("AT", "BB", word(32))],
  ["Slack bot token", join("xo", "xb-", digits(12), "-", digits(12), "-", word(24))],
  ["Slack user token", join("xo", "xp-", digits(12), "-", digits(12), "-", hex(32))],
  ["Slack app token", join("xa", "pp-1-", upper(11), "-", digits(13), "-", hex(64))],
  ["Stripe live key", join("sk", "_live_", word(24))],
  ["Stripe restricted key", join("rk", "_live_", word(24))],
  ["Stripe webhook secret", join("wh", "sec_", word(32))],
  ["OpenAI key", join("sk", "-", word(20), "T3Blbk", "FJ", word(20))],
  ["OpenAI project key", join("sk", "-proj-", url64(100))],
  ["Anthropic key", join("sk", "-ant-", "api03-", url64(93), "AA")],
  ["npm token", join("np", "m_", word(36))],
  ["PyPI token", join("py", "pi-AgEIcHlwaS5vcmc", url64(80))],
  ["RubyGems key", join("ruby", "gems_", hex(48))],
  ["Docker Hub token", join("dckr", "_pat_", url64(27))],
  ["DigitalOcean token", join("do", "p_v1_", hex(64))],
  ["Databricks token", join("da", "pi", hex(32))],
  ["Hugging Face token", join("h", "f_", alpha(34))],
  ["Replicate token", join("r", "8_", word(37))],
  ["Vault token", join("hv", "s.", url64(90))],
  ["Vault batch token", join("hv", "b.", url64(120))],
  ["Doppler token", join("dp", ".pt.", word(43))],
  ["Terraform Cloud token", join(word(14), ".atlas", "v1.", url64(67))],
  ["SendGrid key", join("S", "G.", url64(22), ".", url64(43))],
  ["Mailgun key", join("ke", "y-", hex(32))],
  ["Mailchimp key", join(hex(32), "-u", "s21")],
  ["Twilio key", join("S", "K", hex(32))],
  ["Telegram bot token", join(digits(10), ":A", "A", url64(33))],
  ["Square token", join("sq0", "atp-", url64(22))],
  ["Shopify token", join("shp", "at_", hex(32))],
  ["PayPal token", join("access", "_token$production$", lower(16), "$", hex(32))],
  ["Grafana service account token", join("gl", "sa_", word(32), "_", hex(8))],
  ["New Relic key", join("NR", "AK-", upper(27))],
  ["Sentry token", join("sn", "trys_", word(60))],
  ["Linear key", join("lin", "_api_", word(40))],
  ["Notion secret", join("sec", "ret_", word(43))],
  ["Airtable token", join("pa", "t", word(14), ".", hex(64))],
  ["Figma token", join("fi", "gd_", url64(40))],
  ["Postman key", join("PM", "AK-", hex(24), "-", hex(34))],
  ["Supabase token", join("sb", "p_", hex(40))],
  ["PlanetScale token", join("pscale", "_tkn_", url64(43))],
  ["1Password service token", join("ops", "_eyJ", word(250))],
  ["Heroku key", join("HR", "KU-", url64(60))],
  ["Fly token", join("fo", "1_", url64(43))],
  ["age key", join("AGE-SECRET", "-KEY-1", upper(58))],
  ["bcrypt hash", join("$2", "b$12$", word(53))],
  ["crypt hash", join("$", "6$", word(16), "$", word(86))],
  ["argon2 hash", join("$argon2", "id$v=19$m=65536,t=3,p=4$", word(22), "$", word(43))],
  ["JSON web token", jwt()],
  ["encrypted JSON web token", `${jwt()}.${url64(20)}.${url64(22)}`],
];

const video = "https://videos.example.com/show/episode-1.mp4";
const signed: readonly [name: string, url: string, secrets: string[], kept?: string[]][] = (() => {
  const list: [string, string, string[], string[]?][] = [];
  const one = (name: string, base: string, secret: string, end = "", kept: string[] = []): void =>
    void list.push([name, `${base}${secret}${end}`, [secret], kept]);
  const credential = join("AK", "IA", upper(16));
  const signature = hex(64);
  list.push([
    "S3, version 4",
    `https://bucket.s3.eu-west-1.amazonaws.com/a/v.mp4?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${credential}%2F20261122%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261122T101500Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=${signature}`,
    [credential, signature],
    ["bucket.s3.eu-west-1.amazonaws.com/a/v.mp4", "X-Amz-Expires=900", "X-Amz-Date=20261122T101500Z"],
  ]);
  one(
    "S3, with a session",
    "https://s3.amazonaws.com/b/v.mp4?X-Amz-Security-Token=",
    word(200),
    "&X-Amz-Expires=60",
    ["X-Amz-Expires=60"],
  );
  const old = encodeURIComponent(base64(20));
  list.push([
    "S3, version 2",
    `https://b.s3.amazonaws.com/v.mp4?AWSAccessKeyId=${credential}&Expires=1790000000&Signature=${old}`,
    [credential, old],
    ["Expires=1790000000"],
  ]);
  one("S3-compatible", "http://minio.storage:9000/b/k?X-Amz-Expires=60&X-Amz-Signature=", hex(64), "", [
    "minio.storage:9000/b/k",
  ]);
  const google = hex(512);
  const account = `upload@project-${digits(6)}.iam.gserviceaccount.com`;
  list.push([
    "Google, version 4",
    `https://storage.googleapis.com/b/v.mp4?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=${encodeURIComponent(account)}%2F20261122%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Expires=900&X-Goog-Signature=${google}`,
    [google, encodeURIComponent(account)],
    ["storage.googleapis.com/b/v.mp4", "X-Goog-Expires=900"],
  ]);
  const googleOld = encodeURIComponent(base64(256));
  list.push([
    "Google, version 2",
    `https://storage.googleapis.com/b/v?GoogleAccessId=${account}&Expires=1790000000&Signature=${googleOld}`,
    [googleOld, account],
    ["Expires=1790000000"],
  ]);
  one(
    "Azure SAS",
    "https://acme.blob.core.windows.net/c/v.mp4?sv=2025-05-05&sr=b&sp=r&se=2026-12-01T00%3A00%3A00Z&sig=",
    encodeURIComponent(base64(32)),
    "",
    ["sv=2025-05-05", "sp=r"],
  );
  one(
    "Azure SAS, signature first",
    "https://acme.blob.core.windows.net/c/v.mp4?sig=",
    encodeURIComponent(base64(32)),
    "&sp=r",
    ["sp=r"],
  );
  const cloudFront = join(base64(128).replaceAll("+", "-").replaceAll("/", "~").replaceAll("=", "_"));
  list.push([
    "CloudFront",
    `https://d111.cloudfront.net/v.m3u8?Expires=1790000000&Signature=${cloudFront}&Key-Pair-Id=K${upper(13)}`,
    [cloudFront],
    ["Expires=1790000000"],
  ]);
  one("Akamai", "https://cdn.example.com/v.m3u8?hdnts=exp=1790000000~acl=/*~hmac=", hex(64));
  one("Akamai, older", "https://cdn.example.com/v.m3u8?hdnea=st=1~exp=2~acl=/*~hmac=", hex(64));
  one("Fastly", "https://cdn.example.com/v.mp4?token=1790000000_", hex(40));
  one("Bunny", "https://cdn.example.com/v.mp4?expires=1790000000&token=", url64(43), "", [
    "expires=1790000000",
  ]);
  one(
    "Alibaba OSS",
    "https://b.oss-cn-hangzhou.aliyuncs.com/v?Expires=1790000000&Signature=",
    encodeURIComponent(base64(20)),
  );
  one(
    "Alibaba OSS, newer",
    "https://b.oss-cn-hangzhou.aliyuncs.com/v?x-oss-expires=60&x-oss-signature=",
    hex(64),
  );
  one("Tencent COS", "https://b.cos.ap-guangzhou.myqcloud.com/v?q-sign-algorithm=sha1&q-signature=", hex(40));
  one(
    "DigitalOcean Spaces",
    "https://b.nyc3.digitaloceanspaces.com/v?X-Amz-Expires=1&X-Amz-Signature=",
    hex(64),
  );
  one("Backblaze", "https://f002.backblazeb2.com/file/b/v.mp4?Authorization=", `3_${digits(14)}_${hex(24)}`);
  one(
    "YouTube media",
    "https://rr3.googlevideo.com/videoplayback?expire=1790000000&itag=137&lsig=",
    url64(60),
    "",
    ["itag=137"],
  );
  one("Twitch", "https://usher.ttvnw.net/api/channel/hls/x.m3u8?allow_source=true&sig=", hex(40), "", [
    "allow_source=true",
  ]);
  one("Vimeo", "https://vod.akamaized.net/exp=1790000000~acl=/1/*~hmac=", hex(64));
  one("OAuth in a fragment", "https://app.example.com/cb#access_token=", url64(40), "&state=ok", [
    "state=ok",
  ]);
  one("OAuth refresh", "https://id.example.com/t?grant_type=refresh_token&refresh_token=", url64(40));
  one("OAuth client", "https://id.example.com/t?client_id=app&client_secret=", url64(40), "", [
    "client_id=app",
  ]);
  one("id token", "https://id.example.com/cb?id_token=", jwt());
  one("API key", `${video}?quality=720&api_key=`, hex(32), "", ["quality=720", video]);
  one("API key, other spelling", `${video}?apikey=`, hex(32), "", [video]);
  one("API key of Google", "https://maps.googleapis.com/x?key=", join("AI", "za", url64(35)));
  one("password as parameter", `${video}?user=anna&password=`, plainPassword(), "&x=1", ["user=anna", "x=1"]);
  one("session as parameter", `${video};jsessionid=`, hex(32));
  one("PHP session", `${video}?PHPSESSID=`, lower(26));
  one("Slack webhook", "https://hooks.slack.com/services/", `T${upper(8)}/B${upper(8)}/${word(24)}`);
  one("Discord webhook", "https://discord.com/api/webhooks/", `${digits(18)}/${url64(68)}`);
  one(
    "Teams webhook",
    "https://acme.webhook.office.com/webhookb2/",
    `${hex(8)}-x@${hex(12)}/IncomingWebhook/${hex(32)}/${hex(12)}`,
  );
  one("Telegram in an address", "https://api.telegram.org/bot", `${digits(10)}:${url64(35)}`, "/getFile");
  return list;
})();

const logins: readonly [name: string, url: string, secret: string][] = [
  ...(
    ["https", "http", "ftp", "sftp", "rtsp", "rtsps", "rtmp", "srt", "smb", "ssh", "git+https", "s3"] as const
  ).map((scheme): [string, string, string] => {
    const secret = password();
    return [scheme, `${scheme}://anna:${secret}@host.example.com/v`, secret];
  }),
  ...(
    [
      ["Postgres", "postgresql", "/storage?sslmode=verify-full"],
      ["MySQL", "mysql", "/db"],
      ["MongoDB", "mongodb+srv", "/db?w=majority"],
      ["Redis", "rediss", ":6380/0"],
      ["RabbitMQ", "amqps", "/vhost"],
      ["SMTP", "smtps", ":465"],
      ["LDAP", "ldaps", ":636"],
      ["ClickHouse", "clickhouse", ":9000/x"],
    ] as const
  ).map(([name, scheme, end]): [string, string, string] => {
    const secret = password();
    return [name, `${scheme}://service:${secret}@db.internal${end}`, secret];
  }),
];
const noUser = plainPassword();
const withAt = `${word(6)}@${word(6)}`;

const headers: readonly [name: string, text: string, secret: string][] = (() => {
  const list: [string, string, string][] = [];
  const one = (name: string, before: string, secret: string, after = ""): void =>
    void list.push([name, `${before}${secret}${after}`, secret]);
  one("Basic", "Authorization: Basic ", encode64(`anna:${password()}`));
  one("Basic in a sentence", "it sent Basic ", encode64(`anna:${password()}`), " and got 401");
  one("Bearer", "Authorization: Bearer ", url64(40));
  one("bearer, lower case", "authorization: bearer ", url64(40));
  one("bearer in a sentence", "asked with bearer ", `${word(20)}7`, " twice");
  one("Digest", 'Authorization: Digest username="anna", response="', hex(32), '"');
  one(
    "AWS",
    `Authorization: AWS4-HMAC-SHA256 Credential=x/20261122/eu-west-1/s3/aws4_request, Signature=`,
    hex(64),
  );
  one("Token", "Authorization: Token ", hex(40));
  one("proxy", "Proxy-Authorization: Basic ", encode64(`proxy:${password()}`));
  one("Cookie", "Cookie: theme=dark; session=", word(32));
  one("first cookie", "cookie: sid=s%3A", word(32), "; lang=de");
  one("Set-Cookie", "Set-Cookie: id=", word(32), "; HttpOnly; Secure");
  one("CloudFront cookie", "Cookie: CloudFront-Signature=", url64(120));
  one("API key", "X-Api-Key: ", word(32));
  one("auth token", "X-Auth-Token: ", hex(32));
  one("AWS session", "X-Amz-Security-Token: ", word(120));
  one("GitLab", "PRIVATE-TOKEN: ", url64(20));
  one("Vault", "X-Vault-Token: ", word(24));
  one("Azure function", "x-functions-key: ", base64(32));
  one("curl -H", "curl -H 'Authorization: Bearer ", url64(30), `' ${video}`);
  one("curl -u", "curl -sS -u anna:", plainPassword(), ` ${video}`);
  one("HTTP dump", "GET /v HTTP/1.1\r\nHost: h\r\nCookie: a=", word(24), "\r\nAccept: */*\r\n\r\n");
  return list;
})();

const settings: readonly [name: string, text: string, secret: string][] = (() => {
  const list: [string, string, string][] = [];
  const one = (name: string, before: string, secret: string, after = ""): void =>
    void list.push([name, `${before}${secret}${after}`, secret]);
  one("environment", "AWS_SECRET_ACCESS_KEY=", word(40));
  one("exported", "export DATABASE_PASSWORD=", plainPassword(), "\nexport LANG=C");
  one("quoted", "PGPASSWORD='", `${word(6)} ${word(6)}`, "' psql");
  one("ini", "[default]\naws_secret_access_key = ", word(40), "\nregion = eu-west-1");
  one("YAML", "database:\n  host: db\n  password: ", `${word(10)}7`, "\n  port: 5432");
  one("quoted YAML", 'clientSecret: "', `${word(12)}`, '"');
  one("TOML", 'api_key = "', word(24), '"');
  one("properties", "spring.datasource.password=", plainPassword());
  one("JSON", '{"user":"anna","password":"', password(), '","n":1}');
  one("JSON with spaces", '{ "accessToken" : "', word(30), '" }');
  one("JavaScript", "const config = { apiKey: '", word(30), "' }");
  one("Python", "client(api_key='", word(30), "', timeout=3)");
  one("XML", "<settings><password>", password(), "</password></settings>");
  one("XML with a prefix", "<wsse:Password Type='x'>", word(12), "</wsse:Password>");
  one("SQL Server", "Server=db;Database=x;User Id=sa;Password=", plainPassword(), ";Encrypt=true");
  one(
    "Azure storage",
    "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=",
    base64(64),
    ";EndpointSuffix=core.windows.net",
  );
  one(
    "Azure service bus",
    "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey=",
    base64(32),
  );
  one("command", "mysqldump --user root --password ", plainPassword(), " db");
  one("command with =", "app --api-key=", word(24), " run");
  one("sshpass", "sshpass -p ", plainPassword(), " ssh host");
  one("netrc", "machine host.example.com login anna password ", plainPassword());
  one("npmrc", "//registry.npmjs.org/:_authToken=", word(36));
  one("JDBC", "jdbc:postgresql://db/x?user=anna&password=", plainPassword());
  one("WireGuard", "[Interface]\nPrivateKey = ", base64(32));
  one("log", "level=error msg=refused token=", word(20), " status=401");
  one("shell trace", "+ CLIENT_SECRET=", word(30));
  return list;
})();

const keys: readonly [name: string, text: string, secret: string][] = [
  ...[
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "PGP PRIVATE KEY BLOCK",
  ].map((kind): [string, string, string] => [kind, ...pem(kind)]),
  (() => {
    const [text, secret] = pem("PRIVATE KEY");
    return ["in one line", text.replaceAll("\n", "\\n"), secret] as [string, string, string];
  })(),
  (() => {
    const [text, secret] = pem("RSA PRIVATE KEY");
    return ["indented", text.replaceAll("\n", "\n    "), secret] as [string, string, string];
  })(),
  (() => {
    const [text, secret] = pem("EC PRIVATE KEY");
    return ["cut off", text.slice(0, -60), secret] as [string, string, string];
  })(),
  (() => {
    const [text, secret] = pem("PRIVATE KEY");
    return ["with Windows line ends", text.replaceAll("\n", "\r\n"), secret] as [string, string, string];
  })(),
  (() => {
    const secret = base64(48);
    return [
      "PuTTY",
      `PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n${secret}\nPrivate-MAC: ${hex(64)}`,
      secret,
    ] as [string, string, string];
  })(),
];

const structures: readonly SecretCase[] = (() => {
  const list: SecretCase[] = [];
  const one = (
    name: string,
    of: (secret: string) => unknown,
    secret = plainPassword(),
    kept: string[] = [],
  ): void => void list.push({ name: `attributes: ${name}`, given: of(secret), secrets: [secret], kept });
  one("a field", (s) => ({ password: s, title: "kept" }), undefined, ["kept"]);
  one("a field in another spelling", (s) => ({ "DB-Password": s }));
  one("deep down", (s) => ({ a: { b: [{ c: { clientSecret: s, width: 1920 } }] } }), undefined, ["1920"]);
  one("a number", (s) => ({ otp: Number(s) }), `9${digits(7)}`);
  one("an object", (s) => ({ credentials: { user: "u", value: s } }));
  one("a list", (s) => ({ cookies: [{ name: "a", value: s }] }));
  one("a header by name and value", (s) => ({ headers: [{ name: "Authorization", value: s }] }));
  one("a variable by name and value", (s) => ({ env: [{ name: "DB_PASSWORD", value: s }] }));
  one("a parameter by key and value", (s) => ({ parameters: [{ key: "api_key", value: s }] }));
  one(
    "headers in turn",
    (s) => ({ rawHeaders: ["Host", "h", "Cookie", `sid=${s}`, "Accept", "*/*"] }),
    undefined,
    ["*/*"],
  );
  one(
    "pairs of headers",
    (s) => ({
      headers: [
        ["X-Api-Key", s],
        ["Accept", "*/*"],
      ],
    }),
    undefined,
    ["*/*"],
  );
  one("arguments", (s) => ({ args: ["ffmpeg", "--auth-token", s, "-i", "in.mp4"] }), undefined, ["in.mp4"]);
  one("an argument with =", (s) => ({ args: [`--password=${s}`] }));
  one("a login", (s) => ({ login: { user: "anna", pass: s } }));
  one("Docker", (s) => ({ auths: { "registry.example.com": { auth: s } } }), encode64(`anna:${password()}`));
  one("a key", (s) => ({ [`https://u:${s}@h/`]: true }));
  one(
    "a service account",
    (s) => ({ type: "service_account", private_key: s, project_id: "p" }),
    pem("PRIVATE KEY")[1],
    ["service_account"],
  );
  one("an error", (s) => ({ error: { message: `connect failed: postgres://u:${s}@db/x`, code: 7 } }));
  one("a URL's parts", (s) => ({ url: { host: "h", password: s, search: "?a=1" } }), undefined, ["?a=1"]);
  return list;
})();

const encodings: readonly [name: string, encode: (text: string) => string][] = [
  ["percent", encodeURIComponent],
  ["percent twice", (text) => encodeURIComponent(encodeURIComponent(text))],
  ["percent, in a URL", (text) => `https://h.example.com/r?next=${encodeURIComponent(text)}&x=1`],
  ["base64", encode64],
  ["base64 of URLs", encodeUrl64],
  ["base64 twice", (text) => encode64(encode64(text))],
  ["base64 in a path", (text) => `https://h.example.com/state/${encodeUrl64(text)}/v`],
  ["base64 in a data URL", (text) => `data:text/plain;base64,${encode64(text)}`],
  ["base64, then percent", (text) => encodeURIComponent(encode64(text))],
  ["UTF-16 in base64", (text) => Buffer.from(text, "utf16le").toString("base64")],
  ["hexadecimal", (text) => Buffer.from(text).toString("hex")],
  ["JSON", (text) => JSON.stringify({ body: text })],
  ["JSON in JSON", (text) => JSON.stringify({ body: JSON.stringify({ text }) })],
  ["JSON, three times", (text) => JSON.stringify(JSON.stringify(JSON.stringify({ text })))],
  [
    "JSON for HTML",
    (text) => JSON.stringify({ text }).replace(/[&=<>]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`),
  ],
  ["HTML", (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;")],
  ["JSON in base64", (text) => encode64(JSON.stringify({ text }))],
];
const encoded: readonly SecretCase[] = encodings.flatMap(([name, encode]) => {
  const signature = hex(64);
  const secret = plainPassword();
  const bearer = url64(40);
  return [
    {
      name: `signed URL in ${name}`,
      given: encode(`https://b.s3.amazonaws.com/v.mp4?X-Amz-Expires=60&X-Amz-Signature=${signature}`),
      secrets: [signature],
    },
    {
      name: `JSON with a password in ${name}`,
      given: encode(`{"user":"anna","password":"${secret}"}`),
      secrets: [secret],
    },
    { name: `header in ${name}`, given: encode(`Authorization: Bearer ${bearer}`), secrets: [bearer] },
  ];
});

export const SECRETS: readonly SecretCase[] = [
  ...tokens.map(([name, token]) => ({
    name,
    given: `upload of "film" failed (${token}) after 3 tries`,
    secrets: [token],
    kept: ['upload of "film" failed', "after 3 tries"],
  })),
  ...signed.map(([name, given, secrets, kept = []]) => ({
    name: `signed URL: ${name}`,
    given,
    secrets,
    kept,
  })),
  ...logins.map(([name, given, secret]) => ({ name: `login in a URL: ${name}`, given, secrets: [secret] })),
  {
    name: "login in a URL: no user",
    given: `redis://:${noUser}@cache:6379/1`,
    secrets: [noUser],
    kept: ["cache:6379/1"],
  },
  {
    name: "login in a URL: an @ within",
    given: `rtsp://cam:${withAt}@10.0.0.7/1`,
    secrets: [withAt, withAt.split("@")[1]!],
    kept: ["10.0.0.7/1"],
  },
  ...headers.map(([name, given, secret]) => ({ name: `header: ${name}`, given, secrets: [secret] })),
  ...settings.map(([name, given, secret]) => ({ name: `setting: ${name}`, given, secrets: [secret] })),
  ...keys.map(([name, given, secret]) => ({ name: `key: ${name}`, given, secrets: [secret] })),
  ...structures,
  ...encoded,
];
