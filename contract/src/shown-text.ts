/** What somebody else wrote, made fit for terminals and logs. */

const MOST_OF_A_KEY = 64;
const MOST_PROBLEMS = 20;

/**
 * With something else in the place of what moves the cursor, changes colours, begins a line or turns the direction of
 * text: a terminal would obey.
 */
export function withoutObeyed(text: string, instead: (character: string) => string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu, instead);
}

/** Without what a terminal would obey. As JSON writes it, so that a line of JSON means the same afterwards. */
export function escaped(text: string): string {
  return withoutObeyed(text, (character) =>
    Array.from({ length: character.length }, (_, i) => codeUnit(character.charCodeAt(i))).join(""),
  );
}

function codeUnit(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}

/** A key of a document, escaped, and at most 64 characters of it. */
export function shownKey(key: string): string {
  // Cut before it is looked at, since it may be as long as the document, and after, since escaping makes it longer.
  const characters = [...escaped(key.slice(0, MOST_OF_A_KEY))];
  if (key.length <= MOST_OF_A_KEY && characters.length <= MOST_OF_A_KEY) return characters.join("");
  return `${characters.slice(0, MOST_OF_A_KEY - 1).join("")}…`;
}

/** Text of several lines escaped line by line; those after the first are set back by `indent`. */
export function escapedLines(text: string, indent: string): string {
  return text.split("\n").map(escaped).join(`\n${indent}`);
}

/**
 * The first 20 of the problems that follow a message's first line, one per line. For what tenants wrote: a record of
 * 1 MiB has room for a hundred thousand. Operators are told everything at once.
 */
export function firstProblems(message: string): string {
  const lines = message.split("\n");
  const more = lines.length - 1 - MOST_PROBLEMS;
  return more > 0 ? [...lines.slice(0, -more), `  and ${more} more`].join("\n") : message;
}
