import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import type { ObjectStorageSettings } from "@video-storage/contract/schemas";
import { objectStorageClient } from "@video-storage/worker/object-storage";
import type { ObjectStorageCredentials } from "@video-storage/worker/object-storage";
import { errorText, held, lacking, statusOf } from "./attempt.js";
import type { Place, Seen } from "./attempt.js";

/** AWS's own where the settings name none. */
export function endpointOf({ endpoint, region }: ObjectStorageSettings): URL {
  return new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
}

/** The trusted connection is there already when this is asked; what remains is that the same in clear is refused. */
export async function tlsOnly(
  settings: ObjectStorageSettings,
  credentials: ObjectStorageCredentials | undefined,
  { prefix }: Place,
): Promise<Seen> {
  const endpoint = endpointOf(settings);
  if (endpoint.protocol !== "https:") {
    return lacking(`the endpoint is ${endpoint.origin}: keys, names and videos cross the network in clear`);
  }
  const plain = objectStorageClient(
    { ...settings, endpoint: endpoint.origin.replace("https:", "http:"), caFile: null },
    credentials,
  );
  try {
    // Signed, because a server may refuse the anonymous and yet serve its users in clear.
    await plain.send(new ListObjectsV2Command({ Bucket: settings.bucket, Prefix: prefix, MaxKeys: 1 }));
    return lacking("a signed request over plain HTTP was answered: the bucket's policy must deny it");
  } catch (error) {
    const status = statusOf(error);
    if (status !== undefined && status >= 500)
      return lacking(`plain HTTP ended in ${errorText(error)}, which is no refusal`);
    return held(`the certificate is trusted; plain HTTP is refused (${status ?? (error as Error).name})`);
  } finally {
    plain.destroy();
  }
}

/** Reads, lists and writes without credentials; all must be refused. */
export async function noPublicAccess(settings: ObjectStorageSettings, place: Place): Promise<Seen> {
  const { client, bucket, prefix } = place;
  const key = `${prefix}private`;
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: "private" }));
  const attempts = [
    ["reading an object", "GET", key, undefined],
    ["listing the bucket", "GET", `?list-type=2&prefix=${encodeURIComponent(prefix)}`, undefined],
    ["writing an object", "PUT", `${prefix}anonymous`, "anonymous"],
    ["deleting an object", "DELETE", key, undefined],
  ] as const;
  const answered: string[] = [];
  const statuses = new Set<number>();
  for (const [what, method, path, body] of attempts) {
    const status = await anonymously(settings, method, path, body);
    statuses.add(status);
    if (status < 400) answered.push(`${what} (${status})`);
    else if (![400, 401, 403, 405].includes(status))
      answered.push(`${what} ended with ${status}, no refusal`);
  }
  if (answered.length === 0) return held(`anonymous requests are refused (${[...statuses].join(", ")})`);
  await client
    .send(new DeleteObjectCommand({ Bucket: bucket, Key: `${prefix}anonymous` }))
    .catch(() => undefined);
  return lacking(`without credentials the server allows ${answered.join("; ")}`);
}

function anonymously(
  settings: ObjectStorageSettings,
  method: string,
  path: string,
  body: string | undefined,
): Promise<number> {
  const endpoint = endpointOf(settings);
  const url = settings.forcePathStyle
    ? new URL(`/${settings.bucket}/${path}`, endpoint)
    : new URL(`/${path}`, `${endpoint.protocol}//${settings.bucket}.${endpoint.host}`);
  const ca = settings.caFile === null ? undefined : readFileSync(settings.caFile);
  return new Promise((resolve, reject) => {
    const request =
      url.protocol === "https:"
        ? https.request(url, { method, timeout: 10_000, ...(ca && { ca }) })
        : http.request(url, { method, timeout: 10_000 });
    request.once("response", (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    request.once("timeout", () => request.destroy(new Error("no answer within 10 s")));
    request.once("error", reject);
    request.end(body);
  });
}
