import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { request } from "node:http";

import { Failure } from "../../failure.js";
import type { Access } from "./access.js";
import { SERVICES_NAMESPACE } from "./names.js";
import { forwardPort } from "./port-forward.js";
import { VIDEO_PORT, VIDEO_SOURCE, VIDEO_UPLOAD_PORT } from "./services.js";

/** Address of the pod that serves the video: policies see pods, not Services. */
export async function videoSourceAddress({ core }: Access): Promise<string> {
  const labelSelector = `app.kubernetes.io/name=${VIDEO_SOURCE}`;
  const { items } = await core.listNamespacedPod({ namespace: SERVICES_NAMESPACE, labelSelector });
  const running = items.find(
    ({ metadata, status }) => status?.phase === "Running" && !metadata?.deletionTimestamp,
  );
  if (running?.status?.podIP) return running.status.podIP;
  throw new Failure(`No pod of ${SERVICES_NAMESPACE}/${VIDEO_SOURCE} runs.`, "Run npm start.");
}

/** The address as the only one of a range. */
export function asRange(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** Hands a file to the pod that serves it, and says where workers fetch it. */
export async function serveFromPod(access: Access, file: string): Promise<{ url: string; close(): void }> {
  const forwarded = await forwardPort(access, SERVICES_NAMESPACE, VIDEO_SOURCE, VIDEO_UPLOAD_PORT);
  try {
    await put(file, forwarded);
  } finally {
    forwarded.close();
  }
  const address = await videoSourceAddress(access);
  const host = address.includes(":") ? `[${address}]` : address;
  return { url: `http://${host}:${VIDEO_PORT}/source.mp4`, close: () => {} };
}

async function put(file: string, { host, port }: { host: string; port: number }): Promise<void> {
  const { size } = await stat(file);
  await new Promise<void>((resolve, reject) => {
    const call = request({ host, port, method: "PUT", path: "/source.mp4" }, (response) => {
      response.resume();
      if (response.statusCode === 204) resolve();
      else reject(new Error(`the video's site in the cluster answered ${response.statusCode}`));
    });
    call.setHeader("content-length", size);
    call.setTimeout(60_000, () => call.destroy(new Error("the video's site in the cluster does not answer")));
    call.once("error", reject);
    createReadStream(file).once("error", reject).pipe(call);
  });
}
