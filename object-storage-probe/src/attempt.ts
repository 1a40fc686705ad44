import type { S3Client } from "@aws-sdk/client-s3";

/** What trying something led to. */
export interface Seen {
  readonly held: boolean;
  readonly detail: string;
}

/** What every check works with: a place of its own in the bucket. */
export interface Place {
  readonly client: S3Client;
  readonly bucket: string;
  /** Ends in a slash; nothing else is below it. */
  readonly prefix: string;
}

export const held = (detail: string): Seen => ({ held: true, detail });
export const lacking = (detail: string): Seen => ({ held: false, detail });

/** An endpoint that lacks something often says so by an error: that is an answer too. */
export async function seen(check: () => Promise<Seen>): Promise<Seen> {
  try {
    return await check();
  } catch (error) {
    return lacking(`failed with ${errorText(error)}`);
  }
}

export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
}

/** The error's name, status and message on one line. The SDK's errors name no secret. */
export function errorText(error: unknown): string {
  const { name, message, cause } = error as Error & { code?: string };
  const status = statusOf(error);
  const because = cause instanceof Error && !message.includes(cause.message) ? `: ${cause.message}` : "";
  return `${name}${status === undefined ? "" : ` (${status})`}: ${message}${because}`.replace(/\s+/g, " ");
}

/** Whether `attempt` was refused with one of `statuses`; any other failure is thrown. */
export async function refusedWith(
  statuses: readonly number[],
  attempt: () => Promise<unknown>,
): Promise<boolean> {
  try {
    await attempt();
    return false;
  } catch (error) {
    if (statuses.includes(statusOf(error) ?? 0)) return true;
    throw error;
  }
}
