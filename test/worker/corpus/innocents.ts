/** What workers really write and nobody may harm: each must come out as it went in, character by character. */

const HEXADECIMAL = "0123456789abcdef";
let state = 7;
function draw(below: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return (state >>> 8) % below;
}
const hex = (count: number): string => Array.from({ length: count }, () => HEXADECIMAL[draw(16)]).join("");
const bytes = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => draw(256)));
const uuid = (version: number): string =>
  `${hex(8)}-${hex(4)}-${version}${hex(3)}-${"89ab"[draw(4)]}${hex(3)}-${hex(12)}`;
const id64 = (count: number): string => bytes(count).toString("base64url").slice(0, count);

const identifiers: unknown[] = [
  ...[1, 3, 4, 5, 6, 7].map(uuid),
  uuid(7).toUpperCase(),
  ...[32, 40, 56, 64, 96, 128].map(hex),
  hex(64).toUpperCase(),
  `sha256:${hex(64)}`,
  `sha256-${bytes(32).toString("base64")}`,
  `sha512-${bytes(64).toString("base64")}`,
  `registry.example.com/team/extractor@sha256:${hex(64)}`,
  `"${hex(32)}-7"`,
  ...Array.from({ length: 12 }, () => id64(11)),
  ...["dQw4w9WgXcQ", "76979871", "x8abcde", "BV1xx411c7mD", "sm9", "nm2829323", "av170001", "1582345678901"],
  "tenants/acme/jobs/0190163d-8694-739b-aea5-966c26f8ad91/source.mp4",
  "01ARZ3NDEKTSV4RRFFQ69G5FAV",
  "507f1f77bcf86cd799439011",
  "arn:aws:s3:::video-storage/tenants/acme/*",
  "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
  "pod-7f9c6d5b4-x2k9q",
  "node-0-slot-0",
  'ETag: "9bb58f26192e4ba00f01e2e7b136bbd8"',
  "isan:0000-0000-3A8D-0000-Z-0000-0000-6",
  "ISRC US-S1Z-99-00001, EIDR 10.5240/7791-8534-2C23-9030-8610-5",
  "DOI 10.1000/182 and ISBN 978-3-16-148410-0",
  "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
  "4f1a2b3", // a commit, short
  "v1.34.4-rc.1+build.20261122",
  "AC3 EAC3 HE-AACv2 VP9 AV01 H264 HEVC ProRes4444",
];

const titles = [
  ...[
    "The Secret Garden",
    "The secret token: a love story",
    "Password: Swordfish",
    "Key Largo",
    "The Cookie Thief",
  ],
  ...["Basic Instinct", "Bearer of Bad News", "Bearer bonds and basic instincts", "The Bearer of the Ring"],
  ...[
    "Signature Move",
    "Session 9",
    "The Private Key to Happiness",
    "Token Black: A Portrait",
    "Access Denied",
  ],
  ...[
    "How to choose a good password",
    "What is an API key? Explained in 5 minutes",
    "OAuth tokens: an introduction",
  ],
  ...[
    "Is my password safe? (part 2)",
    "Cookies: three recipes",
    "Credential stuffing explained",
    "Secrets of the Sea",
  ],
  ...[
    "El secreto de sus ojos",
    "Le Secret de la chambre noire",
    "Das Geheimnis der Kekse – Plätzchen backen",
  ],
  ...[
    "Das Passwort lautet: Frühling",
    "Il segreto dell'acqua",
    "O segredo dos números: 1, 2, 3",
    "Hemmeligheten på øya",
  ],
  ...[
    "密碼學入門：公鑰與私鑰",
    "パスワードの話：第3回",
    "비밀의 숲 1화",
    "Секрет успеха: пароль к счастью",
    "הסוד של הים",
  ],
  ...[
    "سر البحر: الحلقة ٣",
    "รหัสผ่านคืออะไร",
    "Bí mật của biển cả",
    "रहस्य: भाग 2",
    "Το μυστικό της θάλασσας",
    "Ðe ķęý ţø ēvęryþīng",
  ],
  ...[
    "😀 Cookies & Cream 🍪 | #shorts",
    "100% real? 50%-off sale & more",
    "C++ & C#: what's = and ==?",
    "a=b, b=c → a=c",
  ],
  ...[
    'Q&A: "Who\'s there?"',
    "Path C:\\Videos\\new\\take 1",
    'I said "cut"\\n again',
    "<b>Bold</b> & <i>italic</i> titles &amp; entities",
  ],
  ...[
    "Live @ 10:30 – contact@example.com",
    "user:admin is a bad choice of name",
    "Ratio 16:9, scene 3:45, part 2:2",
  ],
  ...[
    "Final_v2_FINAL(3).mp4",
    "GX010045.MP4",
    "20261122_101500_PXL.mp4",
    "S01E07 – The One With the Token",
    "~~~",
    "-----",
  ],
];

const urls = [
  "https://example.com/",
  "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=42s&list=PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf&index=3",
  "https://youtu.be/dQw4w9WgXcQ?si=" + id64(16),
  "https://vimeo.com/76979871#t=30s",
  "https://www.twitch.tv/videos/1582345678?t=1h2m3s",
  "https://example.com/search?q=secret+garden&lang=de&page=2",
  "https://example.com/search?q=how%20to%20choose%20a%20password&hl=de",
  "https://example.com/v.mp4?quality=1080&start=10&end=20&download=true",
  "https://example.com/v.mp4#t=10,20",
  "https://example.com/a%20b/%C3%BCber%20uns/film%20%231.mp4",
  "https://example.com/redirect?to=https%3A%2F%2Fexample.org%2Fv%3Fid%3D7%26t%3D2",
  "https://example.com/redirect?to=https%253A%252F%252Fexample.org%252Fv",
  "https://example.com:8443/path;v=2/x?utm_source=newsletter&utm_medium=email&utm_campaign=autumn",
  "https://cdn.example.com/hls/1080p/segment_00042.ts?v=1790000000",
  "https://cdn.example.com/dash/manifest.mpd?tokenizer=fast&keyframe=250",
  "https://bucket.s3.eu-west-1.amazonaws.com/tenants/acme/v.mp4?versionId=" + id64(32),
  "https://bucket.s3.amazonaws.com/?list-type=2&prefix=tenants%2Facme%2F&delimiter=%2F&max-keys=1000",
  "https://storage.googleapis.com/b/v.mp4?generation=1790000000000001&alt=media",
  "https://acme.blob.core.windows.net/c/v.mp4?snapshot=2026-11-22T10:15:00.0000000Z",
  "https://d111111abcdef8.cloudfront.net/v.m3u8",
  "https://[2001:db8::1]:8080/v?x=1",
  "rtsp://10.0.0.7:554/cam/realmonitor?channel=1&subtype=0",
  "rtmp://live.example.com/app/stream1",
  "srt://10.0.0.7:9000?mode=caller&latency=200",
  "s3://video-storage/tenants/acme/jobs/x/source.mp4",
  "file:///tmp/video-jobs/x/source.mp4",
  "magnet:?xt=urn:btih:" + hex(40),
  "postgresql://db.internal:5432/storage?sslmode=verify-full",
  "mailto:anna@example.com?subject=video",
  "https://github.com/FFmpeg/FFmpeg/commit/" + hex(40),
  "https://example.com/users/anna@example.com/videos",
  "https://example.com/@anna/video/7301234567890123456",
  "https://example.com/p/Cxyz123AbCd/?img_index=1",
  "https://example.com/docs/api-key#access-token",
  "https://example.com/embed/" + uuid(4) + "?autoplay=1",
];

const logs = [
  "frame= 1234 fps= 25 q=28.0 size=    1024kB time=00:00:41.13 bitrate= 203.9kbits/s speed=1.02x",
  "Stream #0:0(und): Video: h264 (High) (avc1 / 0x31637661), yuv420p, 1920x1080 [SAR 1:1 DAR 16:9], 4823 kb/s, 25 fps",
  "  encoder         : Lavf61.7.100",
  "[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55d0c8a3e4c0] moov atom not found",
  "ffmpeg -y -i source.mp4 -map 0:v -c:v libx264 -preset slow -crf 22 -pass 1 -passlogfile p -an -f null /dev/null",
  "ffmpeg -i source.mp4 -vf \"select='eq(pict_type,I)',scale=320:-1\" -vsync vfr thumb-%03d.jpg",
  "x264 [info]: key frames=12 keyint=250 min-keyint=25 scenecut=40 ref=3",
  "2026-11-22T10:15:00.123Z INFO worker-7 job 0190163d-8694-739b-aea5-966c26f8ad91 completed in 12.3 s",
  'level=info msg="segment written" segment=42 bytes=1048576 sha256=' + hex(64),
  'GET /v.mp4 HTTP/1.1 206 1048576 "-" "Mozilla/5.0 (X11; Linux x86_64)"',
  "Range: bytes=0-1048575\r\nAccept: */*\r\nUser-Agent: worker/1.2",
  'Content-Type: video/mp4\r\nContent-Length: 1048576\r\nETag: "' + hex(32) + '"',
  "retrying in 250 ms (attempt 3 of 5): connect ETIMEDOUT 10.0.0.7:443",
  "Error: ENOSPC: no space left on device, write '/tmp/video-jobs/x/source.mp4.partial'",
  "    at Object.<anonymous> (/app/worker/dist/index.js:12:34)",
  "the token was refused: token: expired",
  "authentication failed: password: wrong",
  "cookie jar: empty; session: none",
  "no credentials: none were given",
  "use --password to set one, and --token for the other",
  "secretary: Anna, tokenizer=fast, signatures=2, keyframes=250",
  "Video codec: VP9, audio codec: Opus, subtitles: de,en,fr",
  "checksum md5=" + hex(32) + " crc32c=" + hex(8),
  "-----BEGIN CERTIFICATE-----\n" + bytes(48).toString("base64") + "\n-----END CERTIFICATE-----",
  "-----BEGIN PUBLIC KEY-----\n" + bytes(48).toString("base64") + "\n-----END PUBLIC KEY-----",
  "ssh-ed25519 " + bytes(51).toString("base64") + " anna@example.com",
  "WEBVTT\n\n00:00:01.000 --> 00:00:04.000\nThe password is in the secret garden.",
  "1\n00:00:01,000 --> 00:00:04,000\n– Who has the key?\n– The bearer of this letter.",
  "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXTINF:6.000,\nsegment_00001.ts",
  "#EXT-X-KEY:METHOD=NONE",
  "SELECT id, title FROM videos WHERE tenant = 'acme' AND state <> 'failed' ORDER BY created_at LIMIT 10",
  'for f in *.mp4; do ffprobe -v error -show_entries format=duration "$f"; done',
  "kubectl get pods -n video-jobs -l app.kubernetes.io/name=worker -o wide",
  "sed -E 's/^([0-9]+)$/\\1/' list.txt | sort -u",
  "^[a-z0-9]+(?:-[a-z0-9]+)*$",
  "\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z",
];

const encoded = [
  `data:image/jpeg;base64,${Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), bytes(300)]).toString("base64")}`,
  `data:image/png;base64,${Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), bytes(300)]).toString("base64")}`,
  `data:image/webp;base64,${Buffer.concat([Buffer.from("RIFF"), bytes(300)]).toString("base64")}`,
  `data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7`,
  `data:image/svg+xml,%3Csvg%20xmlns%3D%22http%3A%2F%2Fwww.w3.org%2F2000%2Fsvg%22%2F%3E`,
  ...[32, 64, 128, 500].map((count) => bytes(count).toString("base64")),
  ...[32, 64, 128].map((count) => bytes(count).toString("base64url")),
  Buffer.from("The quick brown fox jumps over the lazy dog").toString("base64"),
  Buffer.from('{"cursor":42,"order":"created_at"}').toString("base64url"),
  Buffer.from("The quick brown fox jumps over the lazy dog").toString("hex"),
  "L6PZfaayj[j[~qj[j[j[jtfQj[fQ", // BlurHash
  "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
  encodeURIComponent("Über uns – Film & Ton.mp4"),
  JSON.stringify({ title: 'A "quoted" title', path: "C:\\new\\take", tags: ["secret", "garden"] }),
  JSON.stringify(JSON.stringify({ width: 1920, height: 1080, codec: "h264" })),
  "caf\\u00e9 \\u0026 bar",
];

const structures: unknown[] = [
  { title: "x", width: 1920, height: 1080, live: true, thumbnail: null, duration: 12.5 },
  { format: { tags: { major_brand: "isom", encoder: "Lavf61.7.100", "com.apple.quicktime.make": "Apple" } } },
  { tags: ["secret", "garden", "password", "cookie", "token", "bearer"] },
  {
    keyframes: [0, 250, 500],
    maxTokens: 4096,
    tokenizer: "fast",
    secretName: "catalogue-acme",
    hasPassword: true,
  },
  { primaryKey: "id", kmsKeyId: "alias/video", keyboard: "de", monkey: 1, signatures: 2, cookieless: true },
  { user: "anna", author: "Anna", authenticated: true, authMethod: "none", authors: ["Anna", "Berta"] },
  { password: null, token: false, cookie: true },
  { passes: 2, pass: 1, twoPass: true, compass: "N", bypass: "none" },
  { headers: { "content-type": "video/mp4", etag: `"${hex(32)}"`, "x-request-id": uuid(4) } },
  { checksums: { md5: hex(32), sha1: hex(40), sha256: hex(64) } },
  {
    env: [
      { name: "LANG", value: "C.UTF-8" },
      { name: "TZ", value: "Etc/UTC" },
    ],
  },
  { name: "value", value: "name", key: "k" },
  { args: ["ffmpeg", "-i", "in.mp4", "-pass", "1", "--token-count", "7", "out.mp4"] },
  { locale: "de_DE", license: "CC-BY-4.0", rights: "© 2026 Anna – all rights reserved" },
  { gps: [52.52, 13.405], exif: { Model: "ILCE-7M4", FNumber: 2.8, SerialNumber: "04512345" } },
  { subtitles: { de: "Das Geheimnis", ja: "秘密", ar: "سر" } },
  { 日本語: "パスワード入門", clé: "valeur", __proto__x: 1 },
  { auth: "oauth2", session: "morning", signatureDish: "Soup", keyArt: "poster.jpg" },
];

export const INNOCENTS: readonly unknown[] = [
  ...[...identifiers, ...titles, ...urls, ...logs, ...encoded],
  ...structures,
];
