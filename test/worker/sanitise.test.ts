import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidAttributesError } from "@video-storage/worker";
import { REDACTED, isSecretName, sanitiseAttributes, sanitiseText } from "@video-storage/worker/sanitise";

const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc+/=\n-----END RSA PRIVATE KEY-----";

describe("texts with secrets", () => {
  // What goes in, what of it must not come out, what must.
  it.each<[string, string[], string[]]>([
    [
      "https://b.s3.amazonaws.com/v.mp4?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAX%2F20260101&X-Amz-Signature=0ff1ce&X-Amz-Expires=60",
      ["AKIAX", "0ff1ce"],
      ["v.mp4", "X-Amz-Expires=60"],
    ],
    ["https://b.s3.amazonaws.com/v.mp4?x-amz-security-token=FwoGZXIvYXdz", ["FwoGZXIvYXdz"], ["v.mp4"]],
    [
      "https://storage.googleapis.com/b/v?X-Goog-Signature=deadbeef&X-Goog-Credential=sa%40p.iam",
      ["deadbeef", "sa%40p"],
      ["/b/v"],
    ],
    [
      "https://a.blob.core.windows.net/c/v?sv=2024-01-01&sig=bm90IHRoaXM%3D&se=2027",
      ["bm90IHRoaXM"],
      ["sv=2024-01-01", "se=2027"],
    ],
    [
      "https://d1.cloudfront.net/v?Policy=p&Signature=abc~def&Key-Pair-Id=APKA1",
      ["abc~def", "APKA1"],
      ["Policy=p"],
    ],
    ["https://x.example/v?token=abc", ["abc"], ["https://x.example/v?token="]],
    ["https://x.example/v#access_token=abc&state=1", ["=abc"], ["state=1"]],
    ["rtsp://admin:p@ss:w0rd@camera.example/1", ["admin", "p@ss", "w0rd"], ["camera.example/1"]],
    ["postgres://user:hunter2@db:5432/x", ["hunter2"], ["db:5432/x"]],
    ["Authorization: Basic dXNlcjpwYXNz", ["dXNlcjpwYXNz"], ["Authorization"]],
    ["curl -H 'Authorization: Bearer abc.DEF-123' https://x.example", ["abc.DEF-123"], ["https://x.example"]],
    ["used bearer 0123456789abcdef to ask", ["0123456789abcdef"], ["used", "to ask"]],
    ["sent Basic dXNlcjpwYXNz to it", ["dXNlcjpwYXNz"], ["sent", "to it"]],
    ["Cookie: session=abc; theme=dark\nnext line", ["abc", "dark"], ["next line"]],
    ["Set-Cookie: id=a3fWa; Expires=Wed, 21 Oct 2026", ["a3fWa"], ["Set-Cookie"]],
    ["X-Api-Key: 123abc", ["123abc"], []],
    [`the token ${JWT} was refused`, [JWT.slice(0, 20), "dozjg"], ["was refused"]],
    ["key AKIAIOSFODNN7EXAMPLE here", ["AKIAIOSFODNN7EXAMPLE"], ["here"]],
    [`ghp_${"a1".repeat(18)}`, ["a1a1"], []],
    [`xoxb-${"123456789012"}-abc`, ["123456789012"], []],
    [`before ${PEM} after`, ["MIIEpAIBAAKCAQEA", "abc+/="], ["before", "after"]],
    ["cut off: -----BEGIN PRIVATE KEY-----\nMIIEvQ", ["MIIEvQ"], ["cut off"]],
    ["login with password=hunter2 failed", ["hunter2"], ["login with", "failed"]],
    ['{"user":"u","password":"hun \\" ter2","n":1}', ["hun", "ter2"], ['"user":"u"', '"n":1']],
    ['body "{\\"api_key\\":\\"k-9\\",\\"n\\":1}"', ["k-9"], ["body", "n"]],
    ["AWS_SECRET_ACCESS_KEY='wJalrXUtnFEMI/K7MDENG'", ["wJalrXUtnFEMI"], []],
    ["clientSecret: 0123abc", ["0123abc"], []],
  ])("%s", (text, gone, kept) => {
    const result = sanitiseText(text);
    expect(result).toContain(REDACTED);
    for (const secret of gone) expect(result).not.toContain(secret);
    for (const innocent of kept) expect(result).toContain(innocent);
    expect(sanitiseText(result)).toBe(result);
  });
});

describe("texts without", () => {
  it.each([
    "",
    "a film about the secret token: a love story",
    "Basic instincts and bearer bonds",
    "the bearer of news, the bearer instruments.",
    "https://example.com/watch?v=dQw4w9WgXcQ&t=42s&list=PL123",
    "keyframes=250 codec=h264 size=1920x1080 duration: 12:34",
    "contact@example.com at 10:30",
    "tokenizer=fast secretary: Anna, signatures=2",
    "0190163d-8694-739b-aea5-966c26f8ad91",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    '{"title":"x","width":1920}',
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
  ])("%j stays as it is", (text) => {
    expect(sanitiseText(text)).toBe(text);
  });
});

describe("names", () => {
  it.each([
    "password",
    "dbPassword",
    "DB_PASSWORD",
    "x-api-key",
    "apiKey",
    "APIKey",
    "AWSAccessKeyId",
    "refreshToken",
    "Set-Cookie",
    "private_key",
    "sig",
    "clientSecret",
    "jwt",
  ])("%s is a secret's", (name) => expect(isSecretName(name)).toBe(true));
  it.each([
    "tokenizer",
    "keyframe",
    "primaryKey",
    "kmsKeyId",
    "title",
    "passwordless",
    "secretName",
    "monkey",
    "significance",
    "",
    "maxTokens",
  ])("%j isn't", (name) => expect(isSecretName(name)).toBe(false));
});

describe("attributes", () => {
  it("lose secrets at any depth and nothing else", () => {
    const attributes = {
      ...{ title: "x", width: 1920, live: true, none: null, source: "https://u:p@h/v" },
      ...{ password: 1234, hasToken: false, token: null },
      request: {
        headers: [{ Authorization: "whatever", accept: "*/*" }],
        credentials: { user: "u", pass: "p" },
      },
    };
    expect(sanitiseAttributes(attributes)).toEqual({
      ...{ title: "x", width: 1920, live: true, none: null, source: `https://${REDACTED}@h/v` },
      ...{ password: REDACTED, hasToken: false, token: null },
      request: { headers: [{ Authorization: REDACTED, accept: "*/*" }], credentials: REDACTED },
    });
    expect(sanitiseAttributes({ "https://u:p@h/": 1 })).toEqual({ [`https://${REDACTED}@h/`]: 1 });
  });

  it("that aren't JSON are refused, with their place", () => {
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    for (const bad of [undefined, NaN, Infinity, 1n, () => 1, new Date(), Symbol("x"), cyclic]) {
      expect(() => sanitiseAttributes({ a: [bad] })).toThrow(InvalidAttributesError);
    }
    expect(() => sanitiseAttributes({ a: [{ b: NaN }] })).toThrow(/attributes\.a\[0\]\.b can't be kept/);
  });

  it("don't reach prototypes", () => {
    const result = sanitiseAttributes(JSON.parse('{"__proto__":{"polluted":1}}') as Record<string, unknown>);
    expect(Object.hasOwn(result, "__proto__")).toBe(true);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it("hold no secret under a secret's name, whatever surrounds it", () => {
    const needle = "hunter2hunter2";
    const named = fc.constantFrom("password", "api_key", "accessToken").map((name) => ({ [name]: needle }));
    const tree = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 5 },
        named,
        fc.array(tie("node"), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie("node"), { maxKeys: 3 }),
      ),
    })).node;
    fc.assert(
      fc.property(tree, (value) => {
        expect(JSON.stringify(sanitiseAttributes({ value }))).not.toContain(needle);
      }),
    );
  });
});

describe("texts of any kind", () => {
  const pieces = [
    "token",
    "=",
    ":",
    '"',
    '\\"',
    "'",
    " ",
    "\n",
    "https://",
    "a@b",
    "Bearer ",
    "cookie",
    "&",
    "?",
    "{",
    ",",
  ];
  const noise = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.constantFrom(...pieces)).map((chosen) => chosen.join("")),
  );
  const forms = [
    (secret: string) => `password=${secret}`,
    (secret: string) => `&sig=${secret}`,
    (secret: string) => `"apiKey": "${secret}"`,
    (secret: string) => `?X-Amz-Signature=${secret}`,
    (secret: string) => `https://u:${secret}@h/`,
    (secret: string) => `Bearer ${secret}`,
  ];

  it("on the lines and in the words around it don't hide a secret from the sanitiser", () => {
    fc.assert(
      fc.property(noise, fc.constantFrom(...forms), noise, (before, form, after) => {
        expect(sanitiseText(`${before}\n${form("hunter2HUNTER2")} ${after}`)).not.toContain("hunter2HUNTER2");
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([...pieces, "token=", 'token: "', "-----BEGIN PRIVATE KEY-----", "eyJaaaaaa.", "a"])(
    "take a time in proportion to their length: %j",
    (piece) => {
      const started = performance.now();
      expect(typeof sanitiseText(piece.repeat(100_000 / piece.length))).toBe("string");
      expect(performance.now() - started).toBeLessThan(2_000);
    },
  );
});
