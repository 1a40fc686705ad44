import * as real from "../../../cleanup-job/src/deletion/system-calls.js";
import { point } from "./points.js";

export * from "../../../cleanup-job/src/deletion/system-calls.js";

/** A name such as `fault-EIO-1` fails with that error, as a disk does that can't read or write there. */
function errorOf(name: Uint8Array): string | undefined {
  return /^fault-([A-Z]+)-/.exec(Buffer.from(name).toString("latin1"))?.[1];
}

export const openDirectoryAt: typeof real.openDirectoryAt = (directory, name) =>
  errorOf(name) ?? real.openDirectoryAt(directory, name);

export const removeFileAt: typeof real.removeFileAt = (directory, name) => {
  point();
  return errorOf(name) ?? real.removeFileAt(directory, name);
};

export const removeDirectoryAt: typeof real.removeDirectoryAt = (directory, name) => {
  point();
  return real.removeDirectoryAt(directory, name);
};

export const renameAt: typeof real.renameAt = (from, name, to, newName) => {
  point();
  return errorOf(name) ?? real.renameAt(from, name, to, newName);
};

export const setMode: typeof real.setMode = (fd, mode) => {
  point();
  return real.setMode(fd, mode);
};
