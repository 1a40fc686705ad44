import { existsSync, readFileSync } from "node:fs";
import { InvalidCleanupConfigError, parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import {
  InvalidCapabilitiesError,
  parseObjectStorageCapabilities,
} from "@video-storage/contract/object-storage-capabilities";
import type { ObjectStorageCapabilities } from "@video-storage/contract/object-storage-capabilities";

/** Something that the caller has to set right; ends the program with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Reads and checks the settings. Throws {@link UsageError}. */
export function readConfiguration(file: string): CleanupConfig {
  return parsed(file, parseCleanupConfig);
}

function parsed<T>(file: string, parse: (value: unknown) => T): T {
  const text = read(file, "the settings");
  try {
    return parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`${file} is not JSON: ${error.message}`);
    if (error instanceof InvalidCleanupConfigError || error instanceof InvalidCapabilitiesError) {
      throw new UsageError(`${file}: ${error.message}`);
    }
    throw error;
  }
}

/** One secret of a mounted Secret, without the newline that editors add. Throws {@link UsageError}. */
export function readSecret(directory: string, name: string): string {
  return read(`${directory}/${name}`, `the secret ${name}`).replace(/\n$/, "");
}

function read(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `${what} can't be read from ${file} (${code}): mount it there or name another place`,
    );
  }
}

/** What the bucket's endpoint was found to do; null when nothing was found out yet. Throws {@link UsageError}. */
export function readCapabilities(file: string): ObjectStorageCapabilities | null {
  if (!existsSync(file)) return null;
  return parsed(file, (value) => parseObjectStorageCapabilities(value));
}
