import * as fs from "node:fs";
import { getSystemErrorName } from "node:util";
import koffi from "koffi";

/*
 * The system calls of a deletion, made directly. Node has no openat(2) or unlinkat(2) (node#31110, libuv#4167); its own
 * calls by way of /proc/self/fd/N cost twice the processor time (measured, 200,000 files on tmpfs), and the
 * asynchronous ones three times. These block: only the deletion's own threads make them.
 *
 * A name is one component's bytes with a zero behind them, so that an entry can be passed on as the kernel wrote it.
 */

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
/** Node's constants lack these; they are the same on all of Linux. */
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;

/** Never follows a link, never opens anything but a directory: opening a FIFO would wait for ever. */
const DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const STATX_TYPE_MODE_NLINK = 0x1 | 0x2 | 0x4;
const STATX_BLOCKS = 0x400;
const STATX_MNT_ID = 0x1000;

type Call<A extends unknown[]> = (...args: A) => number;

// The process's own C library, whichever it is.
const libc = koffi.load(null);
const call = {
  openat: libc.func("int openat(int, const void *, int)") as unknown as Call<[number, Uint8Array, number]>,
  close: libc.func("int close(int)") as unknown as Call<[number]>,
  lseek: libc.func("int64_t lseek(int, int64_t, int)") as unknown as Call<[number, number, number]>,
  getdents64: libc.func("long getdents64(int, void *, size_t)") as unknown as Call<
    [number, Uint8Array, number]
  >,
  statx: libc.func("int statx(int, const void *, int, unsigned int, void *)") as unknown as Call<
    [number, Uint8Array, number, number, Uint8Array]
  >,
  chmod: libc.func("int chmod(const void *, unsigned int)") as unknown as Call<[Uint8Array, number]>,
  unlinkat: libc.func("int unlinkat(int, const void *, int)") as unknown as Call<
    [number, Uint8Array, number]
  >,
  renameat: libc.func("int renameat(int, const void *, int, const void *)") as unknown as Call<
    [number, Uint8Array, number, Uint8Array]
  >,
};

/** A system call that failed. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  readonly call: string;
  /** Such as `ENOENT`. */
  readonly code: string;

  constructor(call: string, code: string) {
    super(`${call} failed: ${code}`);
    this.call = call;
    this.code = code;
  }
}

/** The result, or the code of the error; a call that a signal interrupted is made again. */
function made<A extends unknown[]>(attempt: Call<A>, ...args: A): number | string {
  for (;;) {
    const result = attempt(...args);
    if (result >= 0) return result;
    const code = getSystemErrorName(-koffi.errno());
    if (code !== "EINTR") return code;
  }
}

function must(name: string, result: number | string): number {
  if (typeof result === "number") return result;
  throw new SystemCallError(name, result);
}

/** Something that is done with a name, and the code of the error where it failed. */
export type Done = true | string;

function done(result: number | string): Done {
  return typeof result === "number" ? true : result;
}

export const EMPTY_NAME = Buffer.from([0]);

/** A descriptor, or an error's code: ENOTDIR for a link too. */
export function openDirectoryAt(directory: number, name: Uint8Array): number | string {
  return made(call.openat, directory, name, DIRECTORY_FLAGS);
}

/** A descriptor that needs no permission on what it names, and allows little with it. */
export function openPathAt(directory: number, name: Uint8Array): number | string {
  return made(call.openat, directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

export function close(fd: number): void {
  call.close(fd); // never again after an error: the descriptor is gone in any case
}

/** So that the next {@link readEntries} begins at the first entry. */
export function rewind(fd: number): void {
  must("lseek", made(call.lseek, fd, 0, 0));
}

/** Fills the buffer with the next entries of a directory; how many bytes of it, 0 at the end. Throws. */
export function readEntries(fd: number, into: Uint8Array): number {
  return must("getdents64", made(call.getdents64, fd, into, into.length));
}

/** What statx(2) says of a name, without following it. Reused: read it before the next call. */
export class Status {
  private readonly bytes = Buffer.alloc(256);

  /** True, or the error's code. */
  ofName(directory: number, name: Uint8Array): Done {
    const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    const wanted = STATX_TYPE_MODE_NLINK | STATX_BLOCKS;
    return done(made(call.statx, directory, name, flags, wanted, this.bytes));
  }

  /** Throws. */
  ofDescriptor(fd: number): this {
    const wanted = STATX_TYPE_MODE_NLINK | STATX_MNT_ID;
    must("statx", made(call.statx, fd, EMPTY_NAME, AT_EMPTY_PATH, wanted, this.bytes));
    return this;
  }

  get links(): number {
    return this.bytes.readUInt32LE(16);
  }
  get mode(): number {
    return this.bytes.readUInt16LE(28);
  }
  get isDirectory(): boolean {
    return (this.mode & fs.constants.S_IFMT) === fs.constants.S_IFDIR;
  }
  get allocatedBytes(): number {
    return (this.bytes.readUInt32LE(48) + this.bytes.readUInt32LE(52) * 2 ** 32) * 512;
  }
  /** Which mount: a bind mount of the same filesystem has another. Undefined before Linux 5.8. */
  get mountId(): number | undefined {
    if ((this.bytes.readUInt32LE(0) & STATX_MNT_ID) === 0) return undefined;
    return this.bytes.readUInt32LE(144);
  }
}

// What follows changes something. --------------------------------------------------------------------------

/** Removes a name that is no directory. EISDIR or EPERM when it is one. */
export function removeFileAt(directory: number, name: Uint8Array): Done {
  return done(made(call.unlinkat, directory, name, 0));
}

/** Removes an empty directory. */
export function removeDirectoryAt(directory: number, name: Uint8Array): Done {
  return done(made(call.unlinkat, directory, name, AT_REMOVEDIR));
}

export function renameAt(from: number, name: Uint8Array, to: number, newName: Uint8Array): Done {
  return done(made(call.renameat, from, name, to, newName));
}

/** Sets the permissions of what is open. fchmod(2) refuses an O_PATH descriptor; its link in /proc is accepted. */
export function setMode(fd: number, mode: number): Done {
  return done(made(call.chmod, Buffer.from(`/proc/self/fd/${fd}\0`), mode));
}
