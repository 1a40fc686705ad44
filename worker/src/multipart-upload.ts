import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { PutObjectCommand, PutObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";

/** For ending an upload that failed: the server may be the reason. */
const ABORT_MILLISECONDS = 10_000;
/** What servers, and policies on `s3:x-amz-content-sha256`, answer that take no body which isn't signed. */
const REFUSALS = [400, 403, 501];

export interface Target {
  readonly Bucket: string;
  readonly Key: string;
}

export interface UploadedPart {
  readonly PartNumber: number;
  readonly ETag: string | undefined;
  readonly ChecksumSHA256: string;
}

/** What stands in the place of the body's SHA-256 when the signature isn't over the body. */
export const UNSIGNED_BODY = "UNSIGNED-PAYLOAD";

/** What a client has learned of its server. */
export interface KnownOfServer {
  /** Whether it checks and keeps the SHA-256 of what is put; undefined until it answered a put. */
  checksSha256?: boolean;
  /** Whether it takes bodies that aren't signed; undefined until it was sent one. */
  takesUnsignedBodies?: boolean;
}

/** An object that becomes visible as a whole, of parts whose SHA-256 the server checks as they arrive. */
export class MultipartUpload {
  private readonly client: S3Client;
  private readonly known: KnownOfServer;
  private readonly upload: Target & { readonly UploadId: string | undefined };
  /** The server has said that it will check the parts. */
  private readonly checked: boolean;

  private constructor(
    client: S3Client,
    known: KnownOfServer,
    upload: Target & { readonly UploadId: string | undefined },
    checked: boolean,
  ) {
    this.client = client;
    this.known = known;
    this.upload = upload;
    this.checked = checked;
  }

  static async begin(
    client: S3Client,
    known: KnownOfServer,
    target: Target,
    abortSignal: AbortSignal,
    Metadata?: Record<string, string>,
  ): Promise<MultipartUpload> {
    const { UploadId, ChecksumAlgorithm } = await client.send(
      new CreateMultipartUploadCommand({
        ...target,
        ...{ ChecksumAlgorithm: "SHA256", ChecksumType: "COMPOSITE" },
        ...(Metadata && { Metadata }),
      }),
      { abortSignal },
    );
    return new MultipartUpload(client, known, { ...target, UploadId }, ChecksumAlgorithm === "SHA256");
  }

  /**
   * One part, with its SHA-256. Where the server checks that, the body isn't signed as well: the signature is over the
   * checksum's header, so whoever changes the body has to sign anew, and the server hashes it once and not twice.
   */
  async send(
    PartNumber: number,
    body: Buffer,
    sha256: Buffer,
    abortSignal: AbortSignal,
  ): Promise<UploadedPart> {
    const ChecksumSHA256 = sha256.toString("base64");
    const put = async (payloadHash: string): Promise<UploadedPart> => {
      const command = new UploadPartCommand({
        ...{ ...this.upload, PartNumber, ChecksumSHA256 },
        ...{ Body: body, ContentLength: body.byteLength },
      });
      signedAs(command, payloadHash);
      const { ETag } = await this.client.send(command, { abortSignal });
      return { PartNumber, ETag, ChecksumSHA256 };
    };
    const signed = (): Promise<UploadedPart> => put(sha256.toString("hex"));
    if (!this.checked || this.known.takesUnsignedBodies === false) return signed();
    try {
      const part = await put(UNSIGNED_BODY);
      this.known.takesUnsignedBodies ??= true;
      return part;
    } catch (error) {
      // Who refuses a body before it has come may close the connection, and the answer is lost.
      const refused = this.known.takesUnsignedBodies !== true || REFUSALS.includes(statusOf(error) ?? 0);
      if (!refused || abortSignal.aborted) throw error;
      const part = await signed();
      this.known.takesUnsignedBodies = false;
      return part;
    }
  }

  /** Makes it visible, if nobody has written that key yet. */
  async complete(parts: readonly UploadedPart[], abortSignal: AbortSignal): Promise<void> {
    const complete = { ...this.upload, IfNoneMatch: "*", MultipartUpload: { Parts: [...parts] } };
    await this.client.send(new CompleteMultipartUploadCommand(complete), { abortSignal });
  }

  /** What can't be ended now is ended by the janitor. */
  async abort(): Promise<void> {
    const abortSignal = AbortSignal.timeout(ABORT_MILLISECONDS);
    await this.client
      .send(new AbortMultipartUploadCommand(this.upload), { abortSignal })
      .catch(() => undefined);
  }
}

/** The signature is over the body's hash, which is known: the SDK would compute it again. */
export function signedAs(command: PutObjectCommand | UploadPartCommand, payloadHash: string): void {
  // One stack of the two: their types differ in what this doesn't look at.
  (command as PutObjectCommand).middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers["x-amz-content-sha256"] = payloadHash;
      return next(args);
    },
    { step: "build", name: "payloadHash" },
  );
}

/** A server that knows nothing of checksums takes a put as well, and shows none. */
export function learnFrom(answer: PutObjectCommandOutput, checksum: string, known: KnownOfServer): void {
  known.checksSha256 = answer.ChecksumSHA256 === checksum;
}

/** Of an answer that is an error; undefined where there was none. */
export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
}
