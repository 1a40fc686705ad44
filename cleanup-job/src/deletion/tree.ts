import * as fs from "node:fs";
import { rename, rmdir } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { childPath, grantOwnerAccess, openChild, shownName } from "./handles.js";
import type { Directory, EntryName } from "./handles.js";
import { eachEntry } from "./listing.js";

/** Something that could not be removed. */
export interface Remaining {
  readonly name: string;
  /** An errno code, or `mount` for a mount point, `moved` for a directory taken away meanwhile. */
  readonly reason: string;
}

/** What a deletion did. */
export interface TreeDeletion {
  /** Whether nothing is left. */
  readonly complete: boolean;
  /** Whether it stopped because it was asked to. */
  readonly interrupted: boolean;
  /** Bytes really freed: blocks of files whose last name went, not of those linked elsewhere too. */
  readonly bytes: number;
  /** Names removed that were not directories. */
  readonly files: number;
  readonly directories: number;
  /** At most 20 examples of what is left. */
  readonly remaining: readonly Remaining[];
}

export interface TreeOptions {
  readonly signal?: AbortSignal;
  /** Entries in hand per directory. Default 8. */
  readonly entriesInHand?: number;
  /** Directories in hand. Default 4. With the default of entries, about 20 handles are open at most. */
  readonly directoriesInHand?: number;
}

const NEVER_ABORTED = new AbortController().signal;
const WAITING_DIRECTORIES = 4096;
const SHOWN_REMAINING = 20;
/** An attacker who keeps putting things back is left to the next sweep. */
const MAXIMUM_REOPENINGS = 100;

/**
 * Removes `name` below `parent` with everything in it, and nothing else, whatever anybody does to the tree
 * meanwhile: no link is followed, no mount entered, nothing but directories opened.
 *
 * Directories are worked on one level below the top only: a deeper one is first moved up into the top. So
 * the number of open handles doesn't depend on the depth, nor memory on the number of entries, and the
 * top's own listing is the list of what is left to do, also for the sweep after a kill.
 */
export async function deleteTree(
  parent: Directory,
  name: EntryName,
  options: TreeOptions = {},
): Promise<TreeDeletion> {
  const work = new Work(options);
  let complete = false;
  for (let opening = 0; opening < MAXIMUM_REOPENINGS && !complete && !work.signal.aborted; opening++) {
    const before = work.progress;
    work.remaining.length = 0;
    complete = await deleteOnce(parent, name, work);
    if (work.progress === before) break;
  }
  return {
    complete,
    interrupted: !complete && work.signal.aborted,
    bytes: work.bytes,
    files: work.files,
    directories: work.directories,
    remaining: [...work.remaining],
  };
}

/** What one deletion has done so far, shared by all that work on it. */
class Work {
  bytes = 0;
  files = 0;
  directories = 0;
  moves = 0;
  readonly remaining: Remaining[] = [];
  readonly signal: AbortSignal;
  readonly entriesInHand: number;
  readonly directoriesInHand: number;
  private readonly prefix = `.${randomUUID()}.`;
  private named = 0;
  private last: Promise<void> = Promise.resolve();

  constructor(options: TreeOptions) {
    this.signal = options.signal ?? NEVER_ABORTED;
    this.entriesInHand = options.entriesInHand ?? 8;
    this.directoriesInHand = options.directoriesInHand ?? 4;
  }

  get progress(): number {
    return this.files + this.directories + this.moves;
  }

  /** Files with several names are taken one after the other, so that the last name is counted, once. */
  oneAtATime(step: (next: () => void) => void): void {
    this.last = this.last.then(() => new Promise((next) => step(next)));
  }

  /** Never given twice: a rename onto an empty directory would silently remove that one. */
  newName(): string {
    return `${this.prefix}${this.named++}`;
  }

  remains(name: EntryName, reason: string): void {
    if (this.remaining.length < SHOWN_REMAINING) this.remaining.push({ name: shownName(name), reason });
  }

  failed(name: EntryName, error: unknown): void {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return; // somebody else removed it: what we wanted
    this.remains(name, code === "EBUSY" || code === "EXDEV" ? "mount" : (code ?? String(error)));
  }
}

/** Whether nothing is left under the name. */
async function deleteOnce(parent: Directory, name: EntryName, work: Work): Promise<boolean> {
  const top = await openChild(parent, name);
  if (top === "absent") return true;
  if (top === "not-a-directory") {
    await new Promise<void>((done) => removeFile(parent.fd, asBuffer(name), work, done, () => done()));
    return false; // looked at again, since it may be exchanged at any moment
  }
  if (top === "mount" || top === "no-access") {
    work.remains(name, top === "mount" ? "mount" : "EACCES");
    return false;
  }
  try {
    if (!(await emptyTop(top, work))) return false;
    await removeDirectory(parent, name, work);
    if ((await linkCount(top)) === 0) return true;
    work.remains(name, "moved");
    return false;
  } finally {
    await top.close();
  }
}

async function emptyTop(top: Directory, work: Work): Promise<boolean> {
  for (;;) {
    const before = work.progress;
    work.remaining.length = 0;
    const waiting: WaitingDirectories = new WaitingDirectories(work, (name) =>
      removeSubdirectory(top, name, work, waiting),
    );
    let seen: number;
    try {
      seen = await eachEntry(top.fd, work.entriesInHand, work.signal, (name, looksLikeDirectory, done) => {
        if (looksLikeDirectory) waiting.add(name, done);
        else
          removeFile(
            top.fd,
            name,
            work,
            () => waiting.add(name, done),
            () => done(),
          );
      });
    } finally {
      // Also after an error: a number in /proc/self/fd may mean another directory once it has been closed.
      await waiting.idle();
    }
    if (work.signal.aborted) return false;
    if (seen === 0) return true;
    if (work.progress === before) return false;
  }
}

async function removeSubdirectory(
  top: Directory,
  name: Buffer,
  work: Work,
  waiting: WaitingDirectories,
): Promise<void> {
  const directory = await openChild(top, name);
  if (directory === "absent") return;
  if (directory === "not-a-directory") {
    return new Promise((done) => removeFile(top.fd, name, work, done, () => done()));
  }
  if (typeof directory === "string") return work.remains(name, directory === "mount" ? "mount" : "EACCES");
  try {
    for (;;) {
      let gone = 0;
      const seen = await eachEntry(
        directory.fd,
        work.entriesInHand,
        work.signal,
        (child, looksLike, done) => {
          const dealtWith = (isGone: boolean): void => {
            if (isGone) gone++;
            done();
          };
          const isDirectory = (): void => void moveUp(top, directory, child, work, waiting).then(dealtWith);
          if (looksLike) isDirectory();
          else removeFile(directory.fd, child, work, isDirectory, dealtWith);
        },
      );
      if (work.signal.aborted) return;
      if (seen === 0) return await removeDirectory(top, name, work);
      if (gone === 0) return;
    }
  } finally {
    await directory.close();
  }
}

/** Moves a directory two levels down to one level down, where it can wait without a handle. */
async function moveUp(
  top: Directory,
  from: Directory,
  name: Buffer,
  work: Work,
  waiting: WaitingDirectories,
): Promise<boolean> {
  const newName = work.newName();
  const move = (): Promise<void> => rename(childPath(from.fd, name), childPath(top.fd, newName));
  try {
    await move().catch(async (error: NodeJS.ErrnoException) => {
      // Moving a directory changes its "..", so its owner needs write permission on it.
      if (error.code !== "EACCES" || (await grantOwnerAccess(from, name)) !== true) throw error;
      return move();
    });
    work.moves++;
    waiting.offer(Buffer.from(newName));
    return true;
  } catch (error) {
    work.failed(name, error);
    return false;
  }
}

async function removeDirectory(parent: Directory, name: EntryName, work: Work): Promise<void> {
  try {
    await rmdir(childPath(parent.fd, name));
    work.directories++;
  } catch (error) {
    work.failed(name, error);
  }
}

/**
 * Removes a name that is no directory and calls `done`, with whether it is gone. Calls `isDirectory`
 * instead when it turns out to be one.
 */
function removeFile(
  fd: number,
  name: Buffer,
  work: Work,
  isDirectory: () => void,
  done: (gone: boolean) => void,
): void {
  const path = childPath(fd, name);
  const fail = (error: NodeJS.ErrnoException, then: typeof done): void => {
    work.failed(name, error);
    then(error.code === "ENOENT");
  };
  const unlink = (stat: fs.Stats, then: typeof done): void => {
    fs.unlink(path, (error) => {
      if (error) return fail(error, then);
      work.files++;
      if (stat.nlink === 1) work.bytes += stat.blocks * 512;
      then(true);
    });
  };
  fs.lstat(path, (error, stat) => {
    if (error) return fail(error, done);
    if (stat.isDirectory()) return isDirectory();
    if (stat.nlink === 1) return unlink(stat, done);
    work.oneAtATime((next) => {
      const then = (gone: boolean): void => {
        next();
        done(gone);
      };
      fs.lstat(path, (againError, again) => (againError ? fail(againError, then) : unlink(again, then)));
    });
  });
}

/** A bounded list of directories to be worked on, a few at a time. */
class WaitingDirectories {
  private readonly names: Buffer[] = [];
  private readonly blocked: (() => void)[] = [];
  private readonly idleListeners: ((error?: unknown) => void)[] = [];
  private running = 0;
  private failure: unknown;

  constructor(
    private readonly work: Work,
    private readonly process: (name: Buffer) => Promise<void>,
  ) {}

  /** Takes the name in any case; calls `accepted` when more may come. */
  add(name: Buffer, accepted: () => void): void {
    this.names.push(name);
    if (this.names.length < WAITING_DIRECTORIES) accepted();
    else this.blocked.push(accepted);
    this.start();
  }

  /** Takes the name if there is room; if not, the next listing of the top will find it. */
  offer(name: Buffer): void {
    if (this.names.length >= WAITING_DIRECTORIES) return;
    this.names.push(name);
    this.start();
  }

  idle(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.idleListeners.push((error) => (error === undefined ? resolve() : reject(error)));
      this.start();
    });
  }

  private start(): void {
    if (this.work.signal.aborted) this.names.length = 0;
    while (this.running < this.work.directoriesInHand && this.names.length > 0) {
      const name = this.names.pop()!; // last in, first out: a tree is finished before the next is begun
      this.running++;
      this.process(name)
        .catch((error: unknown) => (this.failure ??= error))
        .finally(() => {
          this.running--;
          this.start();
        });
    }
    if (this.names.length < WAITING_DIRECTORIES) for (const accepted of this.blocked.splice(0)) accepted();
    if (this.running === 0 && this.names.length === 0) {
      for (const listener of this.idleListeners.splice(0)) listener(this.failure);
    }
  }
}

async function linkCount(directory: Directory): Promise<number> {
  return new Promise((resolve, reject) =>
    fs.fstat(directory.fd, (error, stat) => (error ? reject(error) : resolve(stat.nlink))),
  );
}

function asBuffer(name: EntryName): Buffer {
  return typeof name === "string" ? Buffer.from(name) : name;
}
