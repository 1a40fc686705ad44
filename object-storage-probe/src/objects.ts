import { createHash } from "node:crypto";
import { crc32 as crc32Of } from "node:zlib";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { CompletedPart, HeadObjectCommandOutput } from "@aws-sdk/client-s3";
import { RELEASED_TAG } from "@video-storage/contract/object-storage-capabilities";
import { compositeChecksum } from "@video-storage/worker/object-storage";
import { held, lacking, refusedWith } from "./attempt.js";
import type { Place, Seen } from "./attempt.js";
import { crc32c } from "./crc32c.js";

/** The smallest part that S3 takes, besides the last. */
const PART_BYTES = 5 * 1024 * 1024;

const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("base64");

export async function encryption(place: Place, expected: string | null): Promise<Seen> {
  const { client, bucket, prefix } = place;
  const object = { Bucket: bucket, Key: `${prefix}encryption` };
  await client.send(new PutObjectCommand({ ...object, Body: "at rest" }));
  const { ServerSideEncryption: found, SSEKMSKeyId: key } = await client.send(new HeadObjectCommand(object));
  if (found === undefined) return lacking("an object put without a word about it is not encrypted");
  if (expected !== null && found !== expected)
    return lacking(`objects are encrypted by ${found}, not by ${expected} as declared`);
  return held(`objects are encrypted by ${found}${key === undefined ? "" : ` with key ${key}`}`);
}

export async function versioning({ client, bucket, prefix }: Place): Promise<Seen> {
  const object = { Bucket: bucket, Key: `${prefix}versions` };
  await client.send(new PutObjectCommand({ ...object, Body: "first" }));
  await client.send(new PutObjectCommand({ ...object, Body: "second" }));
  await client.send(new DeleteObjectCommand(object));
  const listed = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: object.Key }));
  const versions = (listed.Versions ?? []).length;
  const markers = (listed.DeleteMarkers ?? []).length;
  const found = `${versions} of 2 versions and ${markers} of 1 delete marker are there`;
  return versions === 2 && markers === 1 ? held(found) : lacking(`after a deletion ${found}`);
}

export async function conditionalWrites({ client, bucket, prefix }: Place): Promise<Seen> {
  const object = { Bucket: bucket, Key: `${prefix}conditional` };
  await client.send(new PutObjectCommand({ ...object, Body: "first", IfNoneMatch: "*" }));
  const content = async (): Promise<string> =>
    (await client.send(new GetObjectCommand(object))).Body!.transformToString();
  const put = () => client.send(new PutObjectCommand({ ...object, Body: "second", IfNoneMatch: "*" }));
  if (!(await refusedWith([409, 412], put)) || (await content()) !== "first")
    return lacking("a put with If-None-Match: * overwrites what is there");
  const inParts = () => uploadInParts(object, [Buffer.from("second")], { IfNoneMatch: "*" }, client);
  if (!(await refusedWith([409, 412], inParts)) || (await content()) !== "first")
    return lacking("a put with If-None-Match: * is refused, but an upload in parts overwrites");
  return held("what is there is not overwritten, neither by a put nor by an upload in parts");
}

export async function checksumSha256(place: Place): Promise<Seen> {
  const body = Buffer.from("checked by SHA-256");
  const whole = await checksum(
    place,
    "sha256",
    (right) => ({ Body: body, ChecksumSHA256: right ? sha256(body) : sha256(Buffer.from("else")) }),
    ({ ChecksumSHA256 }) => ChecksumSHA256 === sha256(body),
  );
  if (!whole.held) return whole;
  const object = { Bucket: place.bucket, Key: `${place.prefix}sha256-parts` };
  const parts = [Buffer.from("one part")];
  await uploadInParts(object, parts, {}, place.client);
  const head = await place.client.send(new HeadObjectCommand({ ...object, ChecksumMode: "ENABLED" }));
  const composite = compositeChecksum(parts.map(sha256));
  return head.ChecksumSHA256 === composite
    ? held(`${whole.detail}, whole or in parts`)
    : lacking(`${whole.detail}, but of an upload in parts it reports ${head.ChecksumSHA256 ?? "none"}`);
}

export function checksumCrc32c(place: Place): Promise<Seen> {
  const body = Buffer.from("checked by CRC32C");
  return checksum(
    place,
    "crc32c",
    // Of the right length, so that it can only be refused for its value.
    (right) => ({ Body: body, ChecksumCRC32C: right ? crc32c(body) : base64Of(crc32Of(body)) }),
    ({ ChecksumCRC32C }) => ChecksumCRC32C === crc32c(body),
  );
}

function base64Of(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes.toString("base64");
}

async function checksum(
  { client, bucket, prefix }: Place,
  name: string,
  input: (right: boolean) => object,
  matches: (head: HeadObjectCommandOutput) => boolean,
): Promise<Seen> {
  const object = { Bucket: bucket, Key: `${prefix}${name}` };
  const wrong = () => client.send(new PutObjectCommand({ ...object, ...input(false) }));
  if (!(await refusedWith([400], wrong))) return lacking("a body with another checksum is taken");
  await client.send(new PutObjectCommand({ ...object, ...input(true) }));
  const head = await client.send(new HeadObjectCommand({ ...object, ChecksumMode: "ENABLED" }));
  return matches(head)
    ? held("a body with another checksum is refused, and the right one is read back")
    : lacking("a body with another checksum is refused, but the right one can't be read back");
}

export async function multipart({ client, bucket, prefix }: Place): Promise<Seen> {
  const object = { Bucket: bucket, Key: `${prefix}parts` };
  const parts = [Buffer.alloc(PART_BYTES, "a"), Buffer.from("the end")];
  await uploadInParts(object, parts, {}, client);
  const { ContentLength: bytes } = await client.send(new HeadObjectCommand(object));
  const expected = PART_BYTES + parts[1]!.length;
  return bytes === expected
    ? held(`an object of two parts has ${bytes} bytes`)
    : lacking(`an object of two parts has ${bytes} bytes instead of ${expected}`);
}

/** MinIO lists an upload only to those who know its whole key, so that a janitor that doesn't finds none. */
export async function listUnfinishedUploads({ client, bucket, prefix }: Place): Promise<Seen> {
  const object = { Bucket: bucket, Key: `${prefix}unfinished/upload` };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
  const lists = async (Prefix: string): Promise<boolean> => {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix }));
    return Uploads.some((upload) => upload.UploadId === UploadId);
  };
  try {
    if (await lists(`${prefix}unfin`)) return held("an unfinished upload is listed below its prefix");
    return lacking(
      (await lists(object.Key))
        ? "an unfinished upload is listed only to who asks for its whole key"
        : "an unfinished upload is not listed",
    );
  } finally {
    await client.send(new AbortMultipartUploadCommand({ ...object, UploadId })).catch(() => undefined);
  }
}

export async function tags({ client, bucket, prefix }: Place): Promise<Seen> {
  const object = { Bucket: bucket, Key: `${prefix}tags` };
  const TagSet = [{ Key: RELEASED_TAG.key, Value: RELEASED_TAG.value }];
  await client.send(new PutObjectCommand({ ...object, Body: "tagged" }));
  await client.send(new PutObjectTaggingCommand({ ...object, Tagging: { TagSet } }));
  const { TagSet: found = [] } = await client.send(new GetObjectTaggingCommand(object));
  return found.some(({ Key, Value }) => Key === RELEASED_TAG.key && Value === RELEASED_TAG.value)
    ? held("a tag that is put is read back")
    : lacking("a tag that is put is not read back");
}

async function uploadInParts(
  object: { Bucket: string; Key: string },
  bodies: readonly Buffer[],
  completion: { IfNoneMatch?: string },
  client: Place["client"],
): Promise<void> {
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({
      ...object,
      ChecksumAlgorithm: "SHA256",
      ChecksumType: "COMPOSITE",
    }),
  );
  try {
    const Parts: CompletedPart[] = [];
    for (const [index, Body] of bodies.entries()) {
      const part = { PartNumber: index + 1, ChecksumSHA256: sha256(Body) };
      const { ETag } = await client.send(new UploadPartCommand({ ...object, ...part, UploadId, Body }));
      Parts.push({ ...part, ETag });
    }
    await client.send(
      new CompleteMultipartUploadCommand({ ...object, ...completion, UploadId, MultipartUpload: { Parts } }),
    );
  } catch (error) {
    await client.send(new AbortMultipartUploadCommand({ ...object, UploadId })).catch(() => undefined);
    throw error;
  }
}
