import * as fs from "node:fs";
import { open, readFile } from "node:fs/promises";

/*
 * Node has no openat(2) (node#31110, libuv#4167). Looking a name up below /proc/self/fd/N gives the same
 * guarantee: the kernel starts at the open directory itself, whatever its path means by now. Every name
 * used here is a single component, so there is nothing in between that a link could stand for.
 */

/** open(2)'s O_PATH, which Node's constants lack: a handle that needs no permission on what it names. */
const O_PATH = 0o10000000;

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/** Never follows a link, never opens anything but a directory: a FIFO would freeze a pool thread for ever. */
export const DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;

/** For reading a regular file that an untrusted writer named; check with fstat that it is one. */
export const FILE_FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

/** A name inside a directory. Bytes, because file names needn't be UTF-8. */
export type EntryName = string | Buffer;

const SEPARATOR = "/".charCodeAt(0);

/** A single name below an open directory, as a path for any function of `fs`. */
export function childPath(directory: number, name: EntryName): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), checkedName(name)]);
}

/** A single name as system calls want it, with a zero at its end. */
export function entryName(name: EntryName): Buffer {
  return Buffer.concat([checkedName(name), Buffer.of(0)]);
}

/** The name of an entry as the kernel wrote it, with zeros behind it. */
export function nameOfEntry(entry: Uint8Array): Buffer {
  return Buffer.from(entry.subarray(0, entry.indexOf(0)));
}

function checkedName(name: EntryName): Buffer {
  const bytes = typeof name === "string" ? Buffer.from(name) : name;
  if (bytes.length === 0 || bytes.includes(SEPARATOR) || bytes.includes(0) || isDots(bytes)) {
    throw new Error(`${shownName(bytes)} is not the name of a directory entry`);
  }
  return bytes;
}

function isDots(bytes: Buffer): boolean {
  return bytes.length <= 2 && bytes.every((byte) => byte === ".".charCodeAt(0));
}

/** A name for people and JSON: bytes that are not printable ASCII as `\xNN`, at most 100 characters. */
export function shownName(name: EntryName): string {
  const text = (typeof name === "string" ? Buffer.from(name) : name)
    .toString("latin1")
    .replace(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}

/** An open directory that nobody can exchange under us. Close it. */
export interface Directory {
  readonly fd: number;
  /** Which mount it lies on. A bind mount of the same filesystem has the same st_dev but another id. */
  readonly mountId: number;
  /** Directory's own inode, to recognise it under another name. */
  readonly ino: bigint;
  readonly dev: bigint;
  /** As it was when it was opened. */
  readonly mode: number;
  close(): Promise<void>;
}

/** Why a name could not be opened as a directory of this mount. */
export type NotOpened = "absent" | "not-a-directory" | "mount" | "no-access";

/** Opens a directory by path; for the root of a volume, which the sweep is given and trusts. */
export async function openRoot(path: string): Promise<Directory> {
  const handle = await open(path, DIRECTORY_FLAGS);
  return describe(handle);
}

/**
 * Opens `name` below `parent` as a directory on the same mount, and makes it usable: an owner may have
 * taken its own permissions away (mode 0000), which needs no capability to undo.
 */
export async function openChild(parent: Directory, name: EntryName): Promise<Directory | NotOpened> {
  for (let attempt = 0; ; attempt++) {
    try {
      const directory = await onSameMount(parent, await open(childPath(parent.fd, name), DIRECTORY_FLAGS));
      if (directory !== "mount") await restoreOwnerAccess(directory);
      return directory;
    } catch (error) {
      const reason = classify(error);
      if (reason !== "no-access" || attempt > 0) return reason;
      const granted = await grantOwnerAccess(parent, name);
      if (granted !== true) return granted;
    }
  }
}

/** As {@link openChild}, but changes nothing: for looking at jobs that may be somebody's. */
export async function openChildAsItIs(parent: Directory, name: EntryName): Promise<Directory | NotOpened> {
  try {
    return await onSameMount(parent, await open(childPath(parent.fd, name), DIRECTORY_FLAGS));
  } catch (error) {
    return classify(error);
  }
}

/** Gives the owner read, write and search on a directory that can't be opened. */
export async function grantOwnerAccess(parent: Directory, name: EntryName): Promise<true | NotOpened> {
  try {
    const handle = await open(childPath(parent.fd, name), O_PATH | O_DIRECTORY | O_NOFOLLOW);
    try {
      if ((await mountIdOf(handle.fd)) !== parent.mountId) return "mount";
      // fchmod(2) refuses an O_PATH handle; its link in /proc leads to the same inode and is accepted.
      await fs.promises.chmod(`/proc/self/fd/${handle.fd}`, 0o700);
      return true;
    } finally {
      await handle.close();
    }
  } catch (error) {
    return classify(error);
  }
}

async function onSameMount(parent: Directory, handle: fs.promises.FileHandle): Promise<Directory | "mount"> {
  const directory = await describe(handle);
  if (directory.mountId === parent.mountId) return directory;
  await directory.close();
  return "mount";
}

async function restoreOwnerAccess({ fd, mode }: Directory): Promise<void> {
  if ((mode & 0o700) === 0o700) return;
  // Not the owner: then unlinking will say so.
  await fs.promises.chmod(`/proc/self/fd/${fd}`, (mode & 0o7777) | 0o700).catch(() => undefined);
}

async function describe(handle: fs.promises.FileHandle): Promise<Directory> {
  try {
    const [mountId, stat] = await Promise.all([mountIdOf(handle.fd), handle.stat({ bigint: true })]);
    const { ino, dev, mode } = stat;
    return { fd: handle.fd, mountId, ino, dev, mode: Number(mode), close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function mountIdOf(fd: number): Promise<number> {
  const text = await readFile(`/proc/self/fdinfo/${fd}`, "utf8");
  const match = /^mnt_id:\s*(\d+)$/m.exec(text);
  if (!match) throw new Error("/proc/self/fdinfo gives no mnt_id: /proc must be the kernel's own procfs");
  return Number(match[1]);
}

function classify(error: unknown): NotOpened {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return "absent";
    case "ENOTDIR":
    case "ELOOP":
      return "not-a-directory";
    case "EACCES":
    case "EPERM":
      return "no-access";
    default:
      throw error;
  }
}
