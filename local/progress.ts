/** Called by a step while it works, with what it is doing now. */
export type Report = (detail: string) => void;

const QUIET_UNTIL_MS = 2_000;
const PLAIN_EVERY_MS = 10_000;

/**
 * Runs one step and tells what it does. On a terminal a running step is one line, redrawn; elsewhere a
 * line when it starts to take long, one every ten seconds, and one when it ends.
 */
export async function step<T>(title: string, work: (report: Report) => Promise<T>): Promise<T> {
  const started = Date.now();
  const terminal = process.stdout.isTTY === true;
  let detail = "";
  let said = 0;
  const draw = (): void => {
    const elapsed = Date.now() - started;
    if (terminal) {
      const line = `· ${title} ${seconds(elapsed)}${detail && ` · ${detail}`}`;
      process.stdout.write(`\r\x1b[K${line.slice(0, (process.stdout.columns ?? 100) - 1)}`);
    } else if (elapsed >= QUIET_UNTIL_MS && elapsed - said >= PLAIN_EVERY_MS) {
      said = elapsed;
      process.stdout.write(`· ${title} ${seconds(elapsed)}${detail && ` · ${detail}`}\n`);
    }
  };
  said = -PLAIN_EVERY_MS;
  const timer = setInterval(draw, terminal ? 200 : 500);
  const end = (mark: string): void => {
    clearInterval(timer);
    process.stdout.write(
      `${terminal ? "\r\x1b[K" : ""}${mark} ${title} (${seconds(Date.now() - started)})\n`,
    );
  };
  try {
    const result = await work((text) => {
      detail = text.replaceAll(/\s+/g, " ").trim();
    });
    end("✓");
    return result;
  } catch (error) {
    end("✗");
    throw error;
  }
}

function seconds(milliseconds: number): string {
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.floor(milliseconds / 60_000)} min ${Math.round((milliseconds % 60_000) / 1000)} s`;
}
