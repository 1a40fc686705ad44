import type { JobState } from "@video-storage/contract/states";
import type { RefusalReason } from "./errors.js";

/** Told of what a worker does, as it does it. What it throws would be the worker's error, so it must not throw. */
export interface WorkerObserver {
  /** A job came to an end in this process, or was uploaded by it. */
  ended?(outcome: JobState): void;
  /** A job was refused at its creation. */
  refused?(reason: RefusalReason): void;
  /** What was asked for failed, or what the client does by itself. Refusals are not among these. */
  failed?(error: unknown): void;
  /** A file is durable under its final name, so many seconds after it was begun. */
  wrote?(bytes: number, seconds: number): void;
  /** So many bytes are in object storage, verified, that weren't before. */
  staged?(bytes: number): void;
}

/** What a worker has in hand now. */
export interface WorkerActivity {
  /** Jobs whose lease this process holds. */
  readonly activeJobs: number;
  /** Jobs whose newest state is durable on the volume, and the catalogue has not confirmed it yet. */
  readonly unreportedJobs: number;
}

/** Those who are told, of which there may be none. */
export class Observers implements Required<WorkerObserver> {
  readonly #all: WorkerObserver[] = [];

  add(observer: WorkerObserver): void {
    this.#all.push(observer);
  }

  ended(outcome: JobState): void {
    for (const one of this.#all) one.ended?.(outcome);
  }

  refused(reason: RefusalReason): void {
    for (const one of this.#all) one.refused?.(reason);
  }

  failed(error: unknown): void {
    for (const one of this.#all) one.failed?.(error);
  }

  wrote(bytes: number, seconds: number): void {
    for (const one of this.#all) one.wrote?.(bytes, seconds);
  }

  staged(bytes: number): void {
    for (const one of this.#all) one.staged?.(bytes);
  }
}
