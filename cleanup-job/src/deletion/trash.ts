import { lstat, mkdir, rename, unlink } from "node:fs/promises";
import type { JobId } from "@video-storage/contract/identity";
import { TRASH_DIRECTORY } from "@video-storage/contract/layout";
import { childPath, openChild } from "./handles.js";
import type { Directory, NotOpened } from "./handles.js";

/** The volume's private directory for what is being deleted; made if it isn't there. */
export async function openTrash(root: Directory): Promise<Directory> {
  const trash = await makeAndOpen(root).then((opened) =>
    opened === "not-a-directory" ? replace(root) : opened,
  );
  if (typeof trash !== "string") return trash;
  throw new Error(
    `${TRASH_DIRECTORY} at the root of the volume is not usable (${trash}): it must be a directory of the sweep's own user on the volume itself`,
  );
}

async function makeAndOpen(root: Directory): Promise<Directory | NotOpened> {
  await mkdir(childPath(root.fd, TRASH_DIRECTORY), { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  return openChild(root, TRASH_DIRECTORY);
}

/** A file or link in its place, which any worker could leave, would end the cleaning of the volume for good. */
async function replace(root: Directory): Promise<Directory | NotOpened> {
  await unlink(childPath(root.fd, TRASH_DIRECTORY));
  return makeAndOpen(root);
}

/** The directory that was looked at is not the one that its name leads to now. */
export class ExchangedDirectoryError extends Error {
  override readonly name = "ExchangedDirectoryError";
}

/**
 * Moves a job's directory into the trash, which makes it invisible to everybody in one step.
 *
 * `looked` is the open directory that was decided upon; throws {@link ExchangedDirectoryError}, with
 * everything where it was, when the name leads elsewhere by now.
 */
export async function moveToTrash(
  root: Directory,
  trash: Directory,
  jobId: JobId,
  looked: Directory,
): Promise<void> {
  await mustBe(root, jobId, looked);
  await rename(childPath(root.fd, jobId), childPath(trash.fd, jobId));
  try {
    await mustBe(trash, jobId, looked);
  } catch (error) {
    // Exchanged between the two looks: it was never decided that this should go.
    await rename(childPath(trash.fd, jobId), childPath(root.fd, jobId));
    throw error;
  }
}

async function mustBe(parent: Directory, jobId: JobId, looked: Directory): Promise<void> {
  const { ino, dev } = await lstat(childPath(parent.fd, jobId), { bigint: true });
  if (ino === looked.ino && dev === looked.dev) return;
  throw new ExchangedDirectoryError(
    `${jobId} is not the directory that was looked at a moment ago: it was exchanged, so it stays`,
  );
}
