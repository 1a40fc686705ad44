import { ObjectStorageError } from "@video-storage/worker/errors";
import type { ObjectStorage } from "@video-storage/worker/object-storage";

/** No further attempt was made: an earlier one in this sweep found the object storage away. */
export class ObjectStorageAwayError extends ObjectStorageError {}

/**
 * The same object storage, asked no more once it was found away: then a sweep that has much to tier doesn't wait for
 * every job anew, and what needs no object storage goes on. An answer that refuses is not that: the next job may fare
 * better.
 */
export function withBreaker(store: ObjectStorage, onAway: (reason: string) => void): ObjectStorage {
  let away: string | undefined;
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    if (away !== undefined) {
      throw new ObjectStorageAwayError(
        `object storage is away, so nothing is moved there in this sweep: ${away}`,
      );
    }
    try {
      return await work();
    } catch (error) {
      if (away === undefined && isAway(error)) {
        away = (error as Error).message;
        onAway(away);
      }
      throw error;
    }
  };
  return {
    bucket: store.bucket,
    putFile: (...args) => guard(() => store.putFile(...args)),
    putBytes: (...args) => guard(() => store.putBytes(...args)),
    putStream: (...args) => guard(() => store.putStream(...args)),
    open: (...args) => guard(() => store.open(...args)),
    close: () => store.close(),
  };
}

/** It doesn't answer, or answers that it can't: not what it says about one object. */
function isAway(error: unknown): boolean {
  if (!(error instanceof ObjectStorageError)) return false;
  type Cause = { name?: string; cause?: { name?: string }; $metadata?: { httpStatusCode?: number } };
  const cause = error.cause as Cause | undefined;
  // The SDK calls both a time-out and a request to stop that.
  const stopped = cause?.name === "AbortError" && cause.cause?.name !== "TimeoutError";
  if (cause === undefined || stopped) return false;
  const status = cause.$metadata?.httpStatusCode;
  return status === undefined || status >= 500 || status === 429;
}
