import { readFileSync } from "node:fs";
import { InvalidCleanupConfigError, parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import type { CleanupConfig } from "@video-storage/contract/cleanup-config";
import { InvalidContractError, parseStackContract } from "@video-storage/contract/stack-contract";
import type { StackContract } from "@video-storage/contract/stack-contract";

/** Something that the caller has to set right; ends the program with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The stack's contract from a file. Throws {@link UsageError} with all that is wrong. */
export function readContract(file: string): StackContract {
  return parsed(file, "the stack's contract", parseStackContract);
}

/** The sweep's settings from a file: the times that jobs are kept are in it. Throws {@link UsageError}. */
export function readCleanupConfig(file: string): CleanupConfig {
  return parsed(file, "the cleanup settings", parseCleanupConfig);
}

function parsed<T>(file: string, what: string, parse: (value: unknown) => T): T {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `${what} can't be read from ${file} (${code}): mount it there or name another place`,
    );
  }
  try {
    return parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`${file} is not JSON: ${error.message}`);
    if (error instanceof InvalidContractError || error instanceof InvalidCleanupConfigError) {
      throw new UsageError(`${file}: ${error.message}`);
    }
    throw error;
  }
}
