/** What a shell is told of a program that SIGPIPE has ended, which Node.js ignores. */
const NOBODY_READS = 141;

/**
 * Ends the program once nobody reads any more what it prints, as in `… | head -1`: with 141 and without a word, where
 * Node.js would print a stack and end with 1. What it has in hand is left as a kill leaves it. For commands; to be called
 * once, before anything is printed.
 */
export function endWithReaders(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(NOBODY_READS);
  });
}
