import { readFileSync } from "node:fs";
import { InvalidCleanupConfigError, parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";

/** Something that the caller has to set right; ends the program with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Reads and checks the settings. Throws {@link UsageError}. */
export function readConfiguration(file: string): CleanupConfig {
  const text = read(file, "the cleanup settings");
  try {
    return parseCleanupConfig(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`${file} is not JSON: ${error.message}`);
    if (error instanceof InvalidCleanupConfigError) throw new UsageError(`${file}: ${error.message}`);
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
