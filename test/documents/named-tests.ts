import { testTitles } from "./test-titles.js";

/** A test, or a group of tests, as a document names it. */
export interface NamedTest {
  readonly file: string;
  readonly title: string;
}

/** The tests that a text names: a file in backticks, then titles in quotation marks, then perhaps another file. */
export function namedTests(text: string): NamedTest[] {
  let file = "";
  return [...text.matchAll(/`(test\/[^`]+)`|“([^”]+)”/g)].flatMap(([, path, title]) => {
    if (path !== undefined) file = path;
    return title === undefined ? [] : [{ file, title }];
  });
}

const titlesOf = new Map<string, Set<string>>();

/** Whether the file is there and declares a test of that title. */
export function isDeclared({ file, title }: NamedTest): boolean {
  const titles = titlesOf.get(file) ?? testTitles(file);
  titlesOf.set(file, titles);
  return titles.has(title);
}
