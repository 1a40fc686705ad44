import { LOGS_DIRECTORY, METADATA_FILE, TEMPORARY_SUFFIX } from "./layout.js";

const PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** A file name that a job's directory doesn't take. */
export class InvalidFileNameError extends Error {
  override readonly name = "InvalidFileNameError";
}

/** Whether a worker may write a file of that name directly in its job's directory. */
export function isJobFileName(name: unknown): name is string {
  return (
    typeof name === "string" &&
    PATTERN.test(name) &&
    name !== METADATA_FILE &&
    name !== LOGS_DIRECTORY &&
    !name.endsWith(TEMPORARY_SUFFIX)
  );
}

/** The name, or {@link InvalidFileNameError}. */
export function parseJobFileName(name: unknown): string {
  if (isJobFileName(name)) return name;
  throw new InvalidFileNameError(
    `file name ${JSON.stringify(name)} is not valid: use one name of 1 to 128 letters, digits, ".", "_" and "-", ` +
      `beginning with a letter or digit, not ending in ${TEMPORARY_SUFFIX}; ` +
      `${METADATA_FILE} and ${LOGS_DIRECTORY} are the job's own`,
  );
}

/** The name of a log below a job's `logs/`, or {@link InvalidFileNameError}. */
export function parseLogName(name: unknown): string {
  if (typeof name === "string" && PATTERN.test(name) && !name.endsWith(TEMPORARY_SUFFIX)) return name;
  throw new InvalidFileNameError(
    `log name ${JSON.stringify(name)} is not valid: use one name of 1 to 128 letters, digits, ".", "_" and "-", ` +
      `beginning with a letter or digit, not ending in ${TEMPORARY_SUFFIX}`,
  );
}
