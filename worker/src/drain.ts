import type { Drained, Storage } from "./storage.js";

/**
 * Hands every active job over when the process is told to end, as a spot node does before it goes: `Storage.drain` at
 * the signal, once. The process isn't ended: that is yours to do, in `done`. Returns what takes the handler away.
 */
export function drainOnSignal(
  storage: Storage,
  done: (drained: readonly Drained[]) => void,
  signal: NodeJS.Signals = "SIGTERM",
): () => void {
  const handler = (): void => void storage.drain().then(done);
  process.once(signal, handler);
  return () => void process.off(signal, handler);
}
