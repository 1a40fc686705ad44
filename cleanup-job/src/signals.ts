/** Kubernetes gives a pod 30 seconds by default; the last of them are for what is then still in hand. */
const GRACE_MILLISECONDS = 20_000;

export interface Signals {
  readonly stop: AbortSignal;
  readonly stopNow: AbortSignal;
  /** Stops listening, so that the program may end. */
  ignore(): void;
}

/** SIGTERM or SIGINT: finish the job in hand and begin none; after 20 seconds, or the second time, leave it. */
export function stopOnSignals(): Signals {
  const stop = new AbortController();
  const stopNow = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const listener = (): void => {
    if (stop.signal.aborted) stopNow.abort();
    stop.abort();
    timer ??= setTimeout(() => stopNow.abort(), GRACE_MILLISECONDS);
  };
  process.on("SIGTERM", listener).on("SIGINT", listener);
  return {
    stop: stop.signal,
    stopNow: stopNow.signal,
    ignore() {
      clearTimeout(timer);
      process.off("SIGTERM", listener).off("SIGINT", listener);
    },
  };
}
