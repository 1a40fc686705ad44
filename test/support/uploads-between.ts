import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { connectObjectStorage } from "@video-storage/worker/object-storage";
import { startBetween } from "./s3-between.js";
import type { Between } from "./s3-between.js";

export const PART_BYTES = 5 * 1024 * 1024;
/** What an S3 client says instead of the hash of a body that its signature isn't over. */
export const UNSIGNED = "UNSIGNED-PAYLOAD";

const administrator = { accessKeyId: "minioadmin", secretAccessKey: "minioadmin" };
const region = { region: "us-east-1", forcePathStyle: true };

export interface Putting {
  readonly credentials?: typeof administrator;
  readonly times?: number;
  /** Default: 0, all files go in parts. */
  readonly wholeFileBytes?: number;
  readonly signal?: AbortSignal;
}

export function sha256(content: Buffer): Buffer {
  return createHash("sha256").update(content).digest();
}

/** For a test file: the same for all its tests, with a bucket for each and nothing passed yet. */
export function uploadsBetween(endpoint: string): UploadsBetween {
  const uploads = new UploadsBetween(endpoint);
  beforeAll(() => uploads.start());
  afterAll(() => uploads.stop());
  beforeEach(async () => {
    uploads.between.reset();
    await uploads.newBucket();
  });
  return uploads;
}

/** Uploads by the worker's library to a real S3 server, past someone who sees and changes what passes. */
class UploadsBetween {
  bucket = "";
  /** To the server itself. */
  readonly s3: S3Client;
  between!: Between;
  private directory!: string;
  private readonly endpoint: string;

  constructor(endpoint: string) {
    this.endpoint = endpoint;
    this.s3 = new S3Client({ ...region, endpoint, credentials: { ...administrator } });
  }

  async start(): Promise<void> {
    this.directory = await fs.mkdtemp(path.join(tmpdir(), "video-storage-uploads-"));
    this.between = await startBetween(this.endpoint);
  }

  async stop(): Promise<void> {
    this.s3.destroy();
    this.between?.stop();
    await fs.rm(this.directory, { recursive: true, force: true });
  }

  async newBucket(): Promise<void> {
    this.bucket = `uploads-${randomUUID()}`;
    await this.s3.send(new CreateBucketCommand({ Bucket: this.bucket }));
  }

  /** The file that is sent. */
  get file(): string {
    return path.join(this.directory, "source.mp4");
  }

  /** As `video-1` and so on. */
  async put(content: Buffer, putting: Putting = {}): Promise<void> {
    const { credentials = administrator, times = 1, wholeFileBytes = 0, signal } = putting;
    await fs.writeFile(this.file, content);
    const settings = { ...region, endpoint: this.between.endpoint, bucket: this.bucket };
    const upload = { partBytes: PART_BYTES, concurrency: 2, wholeFileBytes };
    const storage = connectObjectStorage(settings, credentials, upload);
    const expected = { bytes: content.length, sha256: sha256(content).toString("hex") };
    const handle = await fs.open(this.file);
    try {
      for (let time = 1; time <= times; time++) {
        await storage.putFile(`video-${time}`, handle, expected, signal);
      }
    } finally {
      await handle.close();
      storage.close();
    }
  }

  /** Writes one byte of the file anew. */
  async changeFile(at: number, byte: number): Promise<void> {
    const handle = await fs.open(this.file, "r+");
    await handle.write(Buffer.from([byte]), 0, 1, at);
    await handle.close();
  }

  async stored(Key = "video-1"): Promise<Buffer> {
    const { Body } = await this.s3.send(new GetObjectCommand({ Bucket: this.bucket, Key }));
    return Buffer.from(await Body!.transformToByteArray());
  }

  async expectNothing(): Promise<void> {
    expect(await this.left()).toEqual({ objects: [], uploads: [] });
  }

  /** Objects and unfinished uploads. */
  async left(): Promise<{ objects: (string | undefined)[]; uploads: (string | undefined)[] }> {
    const { Contents = [] } = await this.s3.send(new ListObjectsV2Command({ Bucket: this.bucket }));
    const { Uploads = [] } = await this.s3.send(new ListMultipartUploadsCommand({ Bucket: this.bucket }));
    return { objects: Contents.map(({ Key }) => Key), uploads: Uploads.map(({ Key }) => Key) };
  }
}
