/**
 * Licences under which something may be in an image of ours, by their SPDX identifiers: all let it be distributed in
 * binary form, changed or not, and ask for no more than that their text goes along.
 */
export const ALLOWED_LICENCES: ReadonlySet<string> = new Set([
  ...["0BSD", "Apache-2.0", "BlueOak-1.0.0", "BSD-2-Clause", "BSD-3-Clause"],
  ...["ISC", "MIT", "Unlicense"],
]);

/** A licence that can't be read as an SPDX expression. */
export class InvalidLicenceError extends Error {
  override readonly name = "InvalidLicenceError";
}

/**
 * Whether an SPDX expression allows what the list allows: of alternatives one has to be on it, of what holds together
 * all. Throws {@link InvalidLicenceError} for what is no expression, such as `SEE LICENSE IN FILE`.
 */
export function isAllowed(expression: string, allowed: ReadonlySet<string> = ALLOWED_LICENCES): boolean {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  let position = 0;
  const invalid = (): never => {
    throw new InvalidLicenceError(
      `${JSON.stringify(expression)} is no SPDX expression: read the package's licence, and say what it is`,
    );
  };
  const one = (): boolean => {
    const token = tokens[position++];
    if (token === "(") {
      const inner = any();
      return tokens[position++] === ")" ? inner : invalid();
    }
    if (!isName(token)) return invalid();
    if (tokens[position] !== "WITH") return allowed.has(token);
    if (!isName(tokens[position + 1])) return invalid();
    // An exception only permits more.
    position += 2;
    return allowed.has(token);
  };
  const every = (): boolean => {
    let result = one();
    while (tokens[position] === "AND") {
      position += 1;
      const next = one();
      result &&= next;
    }
    return result;
  };
  const any = (): boolean => {
    let result = every();
    while (tokens[position] === "OR") {
      position += 1;
      const next = every();
      result ||= next;
    }
    return result;
  };
  const result = any();
  return position === tokens.length ? result : invalid();
}

/** Of a licence or of an exception. */
function isName(token: string | undefined): token is string {
  return token !== undefined && !/^(?:[()]|AND|OR|WITH)$/.test(token);
}
