// The licences that go along with a bundle: whoever distributes a package in it has to pass its text on.
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";

/** The file in a bundle's directory. */
export const LICENCES_FILE = "THIRD-PARTY-LICENCES.txt";

const TEXT = /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i;
const SOURCE = /\.(?:[cm]?[jt]s|json)$/;
const RULE = "=".repeat(80);

/**
 * The licences and notices of every installed package that one of the files is of, by name and version. The same files
 * give the same text.
 * @param {readonly string[]} files as the bundler names them, from the working directory
 */
export async function licenceTexts(files) {
  const directories = new Set(
    files.flatMap((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? []),
  );
  /** The packages that each text is for. @type {Map<string, Set<string>>} */
  const packages = new Map();
  for (const { named, text } of await Promise.all([...directories].map((one) => licenceOf(resolve(one))))) {
    packages.set(text, (packages.get(text) ?? new Set()).add(named));
  }
  const sections = [...packages].map(
    ([text, names]) => `${RULE}\n${[...names].sort().join("\n")}\n${RULE}\n\n${text}\n`,
  );
  return sections.sort().join("\n");
}

/** @param {string} directory */
async function licenceOf(directory) {
  const { name, version, license, author } = JSON.parse(
    await readFile(join(directory, "package.json"), "utf8"),
  );
  const files = (await readdir(directory)).filter((file) => TEXT.test(file) && !SOURCE.test(file)).sort();
  const texts = await Promise.all(
    files.map((file) => readFile(join(directory, file), "utf8").catch(() => "")),
  );
  // Some packages name their licence and leave its text out.
  const by = typeof author === "object" ? author?.name : author;
  const none = `${license ?? "no licence is stated"}${by ? `, by ${by}` : ""} (the package has no text of it)`;
  const text = texts.filter((one) => one !== "").join("\n") || none;
  return { named: `${name} ${version}`, text: text.replaceAll("\r\n", "\n").trim() };
}
