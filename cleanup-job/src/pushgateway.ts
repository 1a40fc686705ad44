import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { SweepMetricsSettings } from "@video-storage/contract/cleanup-config";
import { EXPOSITION_CONTENT_TYPE, expose } from "@video-storage/contract/exposition";
import type { Sample } from "@video-storage/contract/exposition";
import { PUSH_JOB } from "@video-storage/contract/metrics";

/** All pushes of a sweep together: a gateway that is away must not keep a volume from its next sweep. */
const PUSH_MILLISECONDS = 5_000;
/** Of an answer that refuses, what is told. */
const SHOWN_CHARACTERS = 200;

/**
 * Leaves a volume's samples, and what is known of its bucket, at the Pushgateway, within some seconds. Those of a sweep
 * that succeeded replace all that was pushed of the volume; of one that failed, each replaces the same of before, and
 * what it doesn't say stays. Throws when the gateway doesn't take them.
 */
export async function pushSweep(
  { pushgateway, environment }: SweepMetricsSettings,
  volume: string,
  {
    succeeded,
    samples,
    bucket,
  }: {
    readonly succeeded: boolean;
    readonly samples: readonly Sample[];
    /** The same from every sweep of the stack, so in a group of its own. */
    readonly bucket: { readonly name: string; readonly samples: readonly Sample[] } | undefined;
  },
): Promise<void> {
  const signal = AbortSignal.timeout(PUSH_MILLISECONDS);
  await push(groupAddress(pushgateway, { environment, volume }), succeeded ? "PUT" : "POST", samples, signal);
  if (!bucket) return;
  const address = groupAddress(pushgateway, { environment, bucket: bucket.name });
  await push(address, "PUT", bucket.samples, signal);
}

/** The group's own address: `/metrics/job/…/label/value…` below the gateway's base. */
export function groupAddress(base: string, labels: Readonly<Record<string, string>>): URL {
  const address = new URL(base);
  const parts = Object.entries({ job: PUSH_JOB, ...labels }).flat();
  // A value with a slash in it would end its part of the path: the gateway takes base64 for that.
  const path = parts.map((part, index) => {
    const named = index % 2 === 0 && parts[index + 1]!.includes("/") ? `${part}@base64` : part;
    return index % 2 === 1 && part.includes("/")
      ? Buffer.from(part).toString("base64url")
      : encodeURIComponent(named).replaceAll("%40", "@");
  });
  address.pathname = `${address.pathname.replace(/\/+$/, "")}/metrics/${path.join("/")}`;
  return address;
}

async function push(
  address: URL,
  method: "PUT" | "POST",
  samples: readonly Sample[],
  signal: AbortSignal,
): Promise<void> {
  const body = await expose(samples);
  const { status, text } = await send(address, method, body, signal).catch((error: Error) => {
    const why = signal.aborted ? `no answer within ${PUSH_MILLISECONDS / 1000} s` : error.message;
    throw new Error(
      `${address.origin} can't be reached (${why}): is the Pushgateway running, and may this pod connect to it?`,
    );
  });
  if (status < 300) return;
  throw new Error(`${address.origin} answered ${status}: ${text.trim().slice(0, SHOWN_CHARACTERS)}`);
}

function send(
  address: URL,
  method: string,
  body: string,
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  // Not fetch, whose first use costs a sweep several MiB of memory.
  const request = address.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": EXPOSITION_CONTENT_TYPE, "Content-Length": Buffer.byteLength(body) };
    const sent = request(address, { method, headers, signal, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        if (text.length < SHOWN_CHARACTERS) text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
