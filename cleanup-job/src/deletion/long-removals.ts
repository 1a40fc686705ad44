/** Less isn't worth another thread, and says little about how long others take. */
const SMALL_FILE_BYTES = 4 * 1024 * 1024;
/** Longer than it takes to have another thread do it. */
const LONG_MILLISECONDS = 0.25;
/** Of so many files that are expected to take long, one is tried. */
const TRIED_ONE_IN = 16;

/**
 * Which files take long to remove, as those before did: it is ten times as long for the same bytes where their pages are
 * in memory, and files that were written together mostly are, or are not, together.
 */
export class LongRemovals {
  private millisecondsPerByte = 0;
  private expected = 0;

  isExpectedOf(bytes: number): boolean {
    if (bytes <= SMALL_FILE_BYTES || bytes * this.millisecondsPerByte <= LONG_MILLISECONDS) return false;
    return ++this.expected % TRIED_ONE_IN !== 0;
  }

  learn(bytes: number, milliseconds: number): void {
    if (bytes > SMALL_FILE_BYTES) this.millisecondsPerByte = milliseconds / bytes;
  }
}
