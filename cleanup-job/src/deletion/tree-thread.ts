import { readFileSync } from "node:fs";
import { nameOfEntry, shownName } from "./handles.js";
import * as system from "./system-calls.js";
import type { TreeControl } from "./tree-control.js";

/** Something that could not be removed. */
export interface Remaining {
  readonly name: string;
  /** An errno code, or `mount` for a mount point, `moved` for a directory taken away meanwhile. */
  readonly reason: string;
}

/** An open directory, and which mount it lies on. */
export interface Place {
  readonly fd: number;
  readonly mountId: number;
}

/** Names end in a zero, as the kernel writes them. */
export type Task =
  /** Begin: open the tree, and go on as with `list`. */
  | { readonly kind: "open"; readonly parent: Place; readonly name: Uint8Array }
  /** Empty the top and remove it; with `resume`, from where its listing stopped. */
  | {
      readonly kind: "list";
      readonly parent: Place;
      readonly name: Uint8Array;
      readonly top: Place;
      readonly resume: boolean;
    }
  /** Empty and remove these directories of the top. */
  | { readonly kind: "empty"; readonly top: Place; readonly names: readonly Uint8Array[] }
  | { readonly kind: "close"; readonly top: Place };

export interface Answer {
  /**
   * `gone`: nothing of that name is left. `listed`: the top is still open, and `names` are left to others; `more` when
   * its listing hasn't ended. `stopped`: looked at again, if there was progress. `done`: the task is.
   */
  readonly state: "gone" | "listed" | "stopped" | "done";
  readonly top?: Place;
  readonly names?: readonly Uint8Array[];
  readonly more?: boolean;
  readonly remaining: readonly Remaining[];
  /** What is to be removed before the task is performed again; the tree isn't gone before. */
  readonly aside?: Aside;
}

/** Files whose removal takes long, in directories that are open as long. */
export interface Aside {
  readonly files: { readonly directory: number; readonly name: Uint8Array; readonly bytes: number }[];
  /** Descriptors to close afterwards. */
  readonly directories: number[];
}

type Result = Omit<Answer, "remaining" | "aside">;

export const SHOWN_REMAINING = 20;
const NAMES_AT_ONCE = 256;
/** Someone who keeps putting things back is left to the next sweep. */
const MAXIMUM_PASSES = 10_000;
/** How far down it goes where there is no room to move directories up; each level holds a descriptor. */
const MAXIMUM_DESCENT = 32;
const COUNTED_TOGETHER = 256;
const BUFFER_BYTES = 32_768;

const DT_DIR = 4;
const DOT = ".".charCodeAt(0);

/** One thread's part in the deletion of trees, one task at a time. It blocks. */
export class TreeThread {
  /** Made when it is needed: what makes it takes a tenth of a thread's start to load. */
  private prefix: string | undefined;
  private named = 0;
  private readonly status = new system.Status();
  private readonly buffers: Buffer[] = [];
  private remaining: Remaining[] = [];
  private control!: TreeControl;
  private began = 0;
  private aside = nothingAside();
  private done = { bytes: 0, files: 0, directories: 0, moves: 0 };

  perform(task: Task, control: TreeControl): Answer {
    this.control = control;
    this.began = performance.now();
    this.remaining = [];
    this.aside = nothingAside();
    try {
      const result = this.result(task);
      const { remaining, aside } = this;
      return { ...result, remaining, ...(aside.files.length > 0 && { aside }) };
    } catch (error) {
      for (const directory of this.aside.directories) system.close(directory);
      throw error;
    } finally {
      this.addProgress();
    }
  }

  private result(task: Task): Result {
    switch (task.kind) {
      case "open":
        return this.open(task.parent, task.name);
      case "list":
        return this.emptyTop(task.parent, task.name, task.top, task.resume);
      case "empty":
        for (const name of task.names) if (!this.control.stopped) this.emptyBelow(task.top, name, 1);
        return { state: "done" };
      case "close":
        system.close(task.top.fd);
        return { state: "done" };
    }
  }

  private open(parent: Place, name: Uint8Array): Result {
    const fd = this.openBelow(parent, name);
    if (typeof fd === "number") {
      return this.emptyTop(parent, name, { fd, mountId: parent.mountId }, false);
    }
    if (fd === "ENOENT") return { state: "gone" };
    if (isNoDirectory(fd)) this.removeFile(parent.fd, name);
    else this.remains(name, fd);
    return { state: "stopped" }; // looked at again, since it may be exchanged at any moment
  }

  /** Closes the top, unless others are to go on with it. */
  private emptyTop(parent: Place, name: Uint8Array, top: Place, resume: boolean): Result {
    let left: Result | undefined;
    try {
      left = this.emptyOrShare(parent, name, top, resume);
    } catch (error) {
      if (!(error instanceof system.SystemCallError)) throw error;
      this.remains(name, error.code);
    } finally {
      if (left?.state !== "listed") this.release(top.fd);
    }
    return left ?? { state: "stopped" };
  }

  private emptyOrShare(parent: Place, name: Uint8Array, top: Place, resume: boolean): Result {
    const stopped: Result = { state: "stopped" };
    for (let pass = 0; pass < MAXIMUM_PASSES; pass++) {
      const resumed = pass === 0 && resume;
      if (!resumed) {
        system.rewind(top.fd);
        this.remaining.length = 0;
      }
      const before = this.progress;
      const names: Uint8Array[] = [];
      let seen = 0;
      const more = this.eachEntry(
        top.fd,
        0,
        (entry, looksLikeDirectory) => {
          seen++;
          if (!looksLikeDirectory && this.removeFile(top.fd, entry) !== "directory") return;
          if (performance.now() - this.began < this.control.aloneMilliseconds) this.emptyBelow(top, entry, 1);
          else names.push(new Uint8Array(entry)); // of its own: the buffer is used again
        },
        () => names.length >= NAMES_AT_ONCE,
      );
      if (this.control.stopped || this.aside.files.length > 0) return stopped;
      if (names.length > 0 || resumed) return { state: "listed", top, names, more };
      if (seen === 0) return this.removeTop(parent, name, top);
      if (this.progress === before) return stopped;
    }
    return stopped;
  }

  private removeTop(parent: Place, name: Uint8Array, top: Place): Result {
    this.removeDirectory(parent.fd, name);
    if (this.status.ofDescriptor(top.fd).links === 0) return { state: "gone" };
    this.remains(name, "moved");
    return { state: "stopped" };
  }

  /**
   * Empties and removes a directory. Those in it are moved up into the top, where they wait without a descriptor: so
   * the number of descriptors doesn't depend on the depth, and the top's listing is the list of what is left to do,
   * also for the sweep after a kill.
   */
  private emptyBelow(parent: Place, name: Uint8Array, depth: number, top: Place = parent): void {
    const fd = this.openBelow(parent, name);
    if (typeof fd !== "number") {
      if (isNoDirectory(fd)) this.removeFile(parent.fd, name);
      else this.remains(name, fd);
      return;
    }
    try {
      const directory = { fd, mountId: top.mountId };
      const asideBefore = this.aside.files.length;
      for (let pass = 0; pass < MAXIMUM_PASSES; pass++) {
        if (pass > 0) system.rewind(fd);
        const before = this.progress;
        let seen = 0;
        this.eachEntry(fd, depth, (entry, looksLikeDirectory) => {
          seen++;
          if (looksLikeDirectory || this.removeFile(fd, entry) === "directory") {
            this.moveUp(directory, entry, top, depth);
          }
        });
        if (this.control.stopped || this.aside.files.length > asideBefore) return;
        if (seen === 0) return this.removeDirectory(parent.fd, name);
        if (this.progress === before) return;
      }
    } catch (error) {
      if (!(error instanceof system.SystemCallError)) throw error;
      this.remains(name, error.code);
    } finally {
      this.release(fd);
    }
  }

  /** Closes a directory, unless files of it are yet to be removed. */
  private release(fd: number): void {
    if (this.aside.files.some(({ directory }) => directory === fd)) this.aside.directories.push(fd);
    else system.close(fd);
  }

  private moveUp(from: Place, name: Uint8Array, top: Place, depth: number): void {
    // Never a name twice: a rename onto an empty directory would silently remove that one.
    this.prefix ??= `.${crypto.randomUUID()}.`;
    const newName = Buffer.from(`${this.prefix}${this.named++}\0`);
    let moved = system.renameAt(from.fd, name, top.fd, newName);
    // Moving a directory changes its "..", so its owner needs write permission on it.
    if (moved === "EACCES" && this.grantOwnerAccess(from, name) === true) {
      moved = system.renameAt(from.fd, name, top.fd, newName);
    }
    if (moved === true) this.done.moves++;
    else if (NO_ROOM.has(moved) && depth < MAXIMUM_DESCENT) this.emptyBelow(from, name, depth + 1, top);
    else this.failed(name, moved);
  }

  /**
   * A descriptor, or why there is none. Makes the directory usable: its owner may have taken all permissions from it
   * (mode 0000), which needs no capability to undo.
   */
  private openBelow(parent: Place, name: Uint8Array): number | string {
    let fd = system.openDirectoryAt(parent.fd, name);
    if (fd === "EACCES" || fd === "EPERM") {
      const granted = this.grantOwnerAccess(parent, name);
      if (granted !== true) return granted;
      fd = system.openDirectoryAt(parent.fd, name);
    }
    if (typeof fd !== "number") return fd;
    try {
      const { mode } = this.status.ofDescriptor(fd);
      if (this.mountIdOf(fd) === parent.mountId) {
        // Not the owner: then removing will say so.
        if ((mode & 0o700) !== 0o700) system.setMode(fd, (mode & 0o7777) | 0o700);
        return fd;
      }
    } catch (error) {
      system.close(fd);
      if (error instanceof system.SystemCallError) return error.code;
      throw error;
    }
    system.close(fd);
    return "mount";
  }

  /** Gives the owner read, write and search on a directory that can't be opened. */
  private grantOwnerAccess(parent: Place, name: Uint8Array): system.Done {
    const fd = system.openPathAt(parent.fd, name);
    if (typeof fd !== "number") return fd;
    try {
      this.status.ofDescriptor(fd);
      return this.mountIdOf(fd) === parent.mountId ? system.setMode(fd, 0o700) : "mount";
    } finally {
      system.close(fd);
    }
  }

  /** Of the descriptor that the status was just asked about. */
  private mountIdOf(fd: number): number {
    const { mountId } = this.status;
    if (mountId !== undefined) return mountId;
    const match = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"));
    if (!match) throw new Error("/proc/self/fdinfo gives no mnt_id: /proc must be the kernel's own procfs");
    return Number(match[1]);
  }

  /** Removes what is no directory, and says so when it is one. */
  private removeFile(directory: number, name: Uint8Array): "directory" | void {
    const found = this.status.ofName(directory, name);
    if (found !== true) return this.failed(name, found);
    if (this.status.isDirectory) return "directory";
    // Of a file with several names, which may be removed by several threads, the last one counts, once.
    if (this.status.links === 1) this.unlink(directory, name);
    else this.control.exclusively(() => this.unlinkOneOfSeveral(directory, name));
  }

  private unlinkOneOfSeveral(directory: number, name: Uint8Array): void {
    const found = this.status.ofName(directory, name);
    if (found === true) this.unlink(directory, name);
    else this.failed(name, found);
  }

  private unlink(directory: number, name: Uint8Array): void {
    const { links, allocatedBytes } = this.status;
    const removal = this.control.removalOf(allocatedBytes, links === 1);
    if (removal === "aside") {
      this.aside.files.push({ directory, name: new Uint8Array(name), bytes: allocatedBytes }); // of its own: as above
    }
    if (removal !== "now") return;
    const removed = system.removeFileAt(directory, name);
    if (removed !== true) return this.failed(name, removed);
    this.control.removed(allocatedBytes);
    this.done.files++;
    if (links === 1) this.done.bytes += allocatedBytes;
  }

  private removeDirectory(parent: number, name: Uint8Array): void {
    const removed = system.removeDirectoryAt(parent, name);
    if (removed === true) this.done.directories++;
    else this.failed(name, removed);
  }

  /** True when it ended because `enough` was. Names are valid only during the visit. */
  private eachEntry(
    fd: number,
    depth: number,
    visit: (name: Uint8Array, looksLikeDirectory: boolean) => void,
    enough: () => boolean = () => false,
  ): boolean {
    const buffer = (this.buffers[depth] ??= Buffer.allocUnsafeSlow(BUFFER_BYTES));
    for (;;) {
      const filled = system.readEntries(fd, buffer);
      if (filled === 0) return false;
      for (let at = 0; at < filled;) {
        const next = at + buffer.readUInt16LE(at + 16);
        if (!isDots(buffer, at + 19)) {
          if (this.control.stopped) return true;
          visit(buffer.subarray(at + 19, next), buffer[at + 18] === DT_DIR);
          if (this.done.files >= COUNTED_TOGETHER) this.addProgress();
        }
        at = next;
      }
      if (enough()) return true;
    }
  }

  private added = 0;
  private get progress(): number {
    return this.added + this.done.files + this.done.directories + this.done.moves;
  }

  private addProgress(): void {
    this.added = this.progress;
    this.control.add(this.done);
    this.done = { bytes: 0, files: 0, directories: 0, moves: 0 };
  }

  private remains(name: Uint8Array, reason: string): void {
    if (this.remaining.length >= SHOWN_REMAINING) return;
    this.remaining.push({ name: shownName(nameOfEntry(name)), reason });
  }

  private failed(name: Uint8Array, code: string): void {
    if (code === "ENOENT") return; // somebody else removed it: what we wanted
    this.remains(name, code === "EBUSY" || code === "EXDEV" ? "mount" : code);
  }
}

/** Errors of a rename that needs room in the directory it goes to. */
const NO_ROOM: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EMLINK"]);

function nothingAside(): Aside {
  return { files: [], directories: [] };
}

function isNoDirectory(code: string): boolean {
  return code === "ENOTDIR" || code === "ELOOP";
}

function isDots(buffer: Buffer, at: number): boolean {
  if (buffer[at] !== DOT) return false;
  return buffer[at + 1] === 0 || (buffer[at + 1] === DOT && buffer[at + 2] === 0);
}
