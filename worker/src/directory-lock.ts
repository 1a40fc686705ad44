import koffi from "koffi";

/**
 * flock(2) on a directory's own descriptor. It belongs to the open file description: it ends when the process
 * does, however that ends, and nothing has to be cleaned up after it. Node opens with O_CLOEXEC, so programs
 * that a worker starts don't keep it alive.
 */

const SHARED = 1;
const EXCLUSIVE = 2;
const NON_BLOCKING = 4;
const UNLOCK = 8;

// The process's own C library, whichever it is.
const flock = koffi.load(null).func("int flock(int fd, int operation)");

/** The lock is held by someone else, in a way that excludes the one asked for. */
export class DirectoryLockedError extends Error {
  override readonly name = "DirectoryLockedError";
}

/** Takes the shared lock that a worker or uploader holds. Never waits: throws {@link DirectoryLockedError}. */
export function lockShared(fd: number): void {
  if (!take(fd, SHARED)) {
    throw new DirectoryLockedError("the directory is locked by a sweep that is about to remove it");
  }
}

/** Takes the lock that excludes everyone else's. Never waits: false when someone holds one. */
export function tryLockExclusive(fd: number): boolean {
  return take(fd, EXCLUSIVE);
}

/** Gives up the lock; closing the descriptor does so too. */
export function unlock(fd: number): void {
  call(fd, UNLOCK);
}

function take(fd: number, operation: number): boolean {
  const error = call(fd, operation | NON_BLOCKING);
  if (error === 0) return true;
  if (error === koffi.os.errno.EWOULDBLOCK || error === koffi.os.errno.EAGAIN) return false;
  throw new Error(
    `flock on descriptor ${fd} failed with errno ${error}: the filesystem must support flock(2)`,
  );
}

function call(fd: number, operation: number): number {
  for (;;) {
    if (flock(fd, operation) === 0) return 0;
    const error = koffi.errno();
    if (error !== koffi.os.errno.EINTR) return error;
  }
}
