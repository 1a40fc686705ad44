/** Whether all is played. */
export const THOROUGH = Boolean(process.env["TEST_THOROUGH"]);

/**
 * How often a randomised test tries. `npm run test:thorough` plays all rounds, `npm test` a fiftieth of them, so
 * that it stays something that is run before each change; the environment variable says any other number.
 */
export function rounds(variable: string, all: number): number {
  const given = process.env[variable];
  if (given !== undefined) return wholeNumber(variable, given);
  return THOROUGH ? all : Math.ceil(all / 50);
}

/** Of so many cases, numbered from 1, all in a thorough run and every sixteenth in another, which ones by the seed. */
export function cases(all: number, chosenBy: number): number[] {
  return Array.from({ length: all }, (_, index) => index + 1).filter((n) => isPlayed(n, 16, chosenBy));
}

/** Whether that one of numbered cases is played: each in a thorough run, one in so many in another. */
export function isPlayed(number: number, oneIn: number, chosenBy: number): boolean {
  return THOROUGH || number % oneIn === chosenBy % oneIn;
}

/** A seed to print, so that a run can be played again: the environment variable's, or a new one. */
export function seed(variable: string): number {
  const given = process.env[variable];
  return given === undefined ? Date.now() % 2 ** 31 : wholeNumber(variable, given);
}

function wholeNumber(variable: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Error(`${variable} is "${text}"; it must be a whole number`);
}
