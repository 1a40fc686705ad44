import { globSync } from "node:fs";

import ts from "typescript";

import { PROJECT } from "../paths.js";
import { docOf, nameOf, oneLine, publicMembers, signatureOf, Sources } from "./declarations.js";
import type { Declaration, Found, Member } from "./declarations.js";
import { table } from "./generated-parts.js";

/** A piece of the reference that says nothing: its place, for whoever is to write a comment there. */
export interface Undocumented {
  readonly file: string;
  readonly name: string;
}

export interface Reference {
  readonly text: string;
  readonly undocumented: readonly Undocumented[];
}

/** Files beside the components whose functions are for other programs too. */
const HELPERS = ["components/lib/slots.ts", "components/lib/worker-pod.ts", "components/lib/uploader-pod.ts"];

/** The reference of every component: arguments, outputs, functions, and the types that they speak of. */
export function componentReference(): Reference {
  const sources = new Sources();
  const writer = new Writer(sources, (file) => file.startsWith("components/"));
  const files = globSync("components/*.ts", { cwd: PROJECT }).sort();
  const sections = files.flatMap((file) => componentsIn(sources, file).map((one) => writer.component(one)));
  const helpers = HELPERS.flatMap((file) => writer.functions(file));
  return {
    undocumented: writer.undocumented,
    text: [
      "# Components",
      "Generated from the comments in the code by `npm run reference`. How to take one without the rest, with a whole program " +
        "for each: [adopting one component](../adopting-one-component.md). Sizes are in bytes and times in seconds where a name " +
        "says so. A `?` marks what may be left out.",
      files
        .flatMap((file) => componentsIn(sources, file))
        .map(({ declaration }) => `- [${nameOf(declaration)}](#${nameOf(declaration).toLowerCase()})`)
        .join("\n"),
      ...sections,
      "## Slots and pods",
      ...helpers,
      "## Types",
      ...writer.types(),
    ]
      .join("\n\n")
      .trimEnd()
      .concat("\n"),
  };
}

/** The reference of the worker's client: everything that the package exports. */
export function workerReference(): Reference {
  const sources = new Sources();
  const writer = new Writer(sources, (file) => file.startsWith("worker/") || file.startsWith("contract/"));
  const found = exportsOf(sources, "worker/src/index.ts");
  const of = (is: (declaration: Declaration) => boolean): Found[] =>
    found.filter(({ declaration }) => is(declaration));
  const isError = ({ declaration }: Found): boolean => nameOf(declaration).endsWith("Error");
  const classes = of(ts.isClassDeclaration).filter((one) => !isError(one));
  const interfaces = of(ts.isInterfaceDeclaration);
  const functions = of(ts.isFunctionDeclaration);
  const errors = of(ts.isClassDeclaration).filter(isError);
  return {
    undocumented: writer.undocumented,
    text: [
      "# The worker's client",
      "Everything that `@video-storage/worker` exports, generated from the comments in the code by `npm run reference`. " +
        "How it is used: [workers](../worker.md).",
      "## Functions",
      ...functions.map((one) => writer.function(one)),
      "## Classes",
      ...classes.map((one) => writer.class(one)),
      "## Errors",
      table(
        ["Error", "When"],
        errors.map((one) => [`\`${nameOf(one.declaration)}\``, writer.docIn(one)]),
      ),
      "## Types",
      ...interfaces.map((one) => writer.type(one)),
      ...writer.types(),
    ]
      .join("\n\n")
      .trimEnd()
      .concat("\n"),
  };
}

function componentsIn(sources: Sources, file: string): (Found & { declaration: ts.ClassDeclaration })[] {
  return sources
    .declaredIn(file)
    .filter((one): one is Found & { declaration: ts.ClassDeclaration } =>
      ts.isClassDeclaration(one.declaration),
    );
}

/** What a file exports, of its own and of others. */
function exportsOf(sources: Sources, file: string): Found[] {
  const named = sources.file(file).statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement) || !statement.exportClause) return [];
    if (!ts.isNamedExports(statement.exportClause)) return [];
    return statement.exportClause.elements.map((element) => sources.find(file, element.name.text));
  });
  return [...sources.declaredIn(file), ...named.filter((one) => one !== undefined)];
}

class Writer {
  readonly undocumented: Undocumented[] = [];
  readonly #written = new Set<string>();
  readonly #wanted = new Map<string, Found>();
  private readonly sources: Sources;
  /** Whether a type in that file is told, or is somebody else's subject. */
  private readonly tells: (file: string) => boolean;

  constructor(sources: Sources, tells: (file: string) => boolean) {
    this.sources = sources;
    this.tells = tells;
  }

  component(found: Found & { declaration: ts.ClassDeclaration }): string {
    const { file, declaration } = found;
    const name = nameOf(declaration);
    const outputs = publicMembers(file, declaration);
    const args = argumentsOf(declaration);
    const functions = this.functions(file);
    return [
      `## ${name}`,
      `\`${file}\`, in the engine \`${typeTokenOf(declaration)}\``,
      this.#doc(file, name, declaration),
      ...(args === undefined ? [] : [this.#arguments(file, args)]),
      ...(outputs.length === 0 ? [] : ["**Outputs**", this.#members(name, outputs, "Output")]),
      ...functions,
    ].join("\n\n");
  }

  /** The documented functions and constants of a file. */
  functions(file: string): string[] {
    return this.sources.declaredIn(file).flatMap((one) => {
      if (docOf(one.declaration) === "") return [];
      if (ts.isFunctionDeclaration(one.declaration)) return [this.function(one)];
      if (!ts.isVariableStatement(one.declaration)) return [];
      const [variable] = one.declaration.declarationList.declarations;
      const value = variable!.initializer ? oneLine(variable!.initializer.getText()) : "";
      return [`**\`${nameOf(one.declaration)}\`** = \`${value}\`: ${docOf(one.declaration)}`];
    });
  }

  function(found: Found): string {
    const declaration = found.declaration as ts.FunctionDeclaration;
    for (const parameter of declaration.parameters) this.#want(found.file, parameter.type);
    this.#want(found.file, declaration.type);
    return [
      `**\`${signatureOf(declaration)}\`**`,
      this.#doc(found.file, nameOf(declaration), declaration),
    ].join("\n\n");
  }

  class(found: Found): string {
    const declaration = found.declaration as ts.ClassDeclaration;
    const name = nameOf(declaration);
    this.#written.add(name);
    return [
      `### ${name}`,
      this.#doc(found.file, name, declaration),
      this.#members(name, publicMembers(found.file, declaration), "Member"),
    ].join("\n\n");
  }

  type(found: Found): string {
    const { file, declaration } = found;
    const name = nameOf(declaration);
    this.#written.add(name);
    const members = this.sources.members(found);
    const doc = docOf(declaration);
    // A union's or a function's own words say it best.
    const body =
      members.length > 0
        ? this.#members(name, members, "Field")
        : `\`\`\`ts\n${written(declaration)}\n\`\`\``;
    if (members.length === 0) this.#want(file, declaration);
    return [`### ${name}`, ...(doc === "" ? [] : [doc]), body].join("\n\n");
  }

  /** All types that were spoken of and have no place yet, and those that they speak of, by name. */
  types(): string[] {
    const texts = new Map<string, string>();
    for (;;) {
      const next = [...this.#wanted].find(([name]) => !this.#written.has(name));
      if (!next) break;
      texts.set(next[0], this.type(next[1]));
    }
    return [...texts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
  }

  /** A comment for a cell of a table. */
  docIn({ file, declaration }: Found): string {
    return oneParagraph(this.#doc(file, nameOf(declaration), declaration));
  }

  #arguments(file: string, name: string): string {
    const found = this.sources.find(file, name);
    if (!found) return `**Arguments**: \`${name}\``;
    const members = this.sources.members(found);
    if (members.length === 0) {
      this.#wanted.set(name, found);
      return `**Arguments**: \`${name}\`, below.`;
    }
    this.#written.add(name);
    return ["**Arguments**", this.#members(name, members, "Argument")].join("\n\n");
  }

  #members(of: string, members: readonly Member[], what: string): string {
    const rows = members.map((member) => {
      this.#want(member.file, member.typeNode);
      // One fixed value says all that there is to say.
      if (member.doc === "" && !/^"[^"]*"$/.test(member.type))
        this.undocumented.push({ file: member.file, name: `${of}.${member.name}` });
      return [
        `\`${member.name}${member.optional ? "?" : ""}\``,
        member.type === "" ? "" : `\`${member.type}\``,
        oneParagraph(member.doc),
      ];
    });
    return table([what, "Type", "What it is"], rows);
  }

  #doc(file: string, name: string, node: ts.Node): string {
    const doc = docOf(node);
    if (doc === "") this.undocumented.push({ file, name });
    return doc;
  }

  /** Notes the types of this project that a type names. */
  #want(file: string, node: ts.Node | undefined): void {
    if (!node) return;
    const visit = (one: ts.Node): void => {
      if (ts.isTypeReferenceNode(one) && ts.isIdentifier(one.typeName)) {
        const found = this.sources.find(file, one.typeName.text);
        if (found && this.tells(found.file) && isType(found.declaration)) {
          this.#wanted.set(nameOf(found.declaration), found);
        }
      }
      ts.forEachChild(one, visit);
    };
    visit(node);
  }
}

function isType(declaration: Declaration): boolean {
  return ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration);
}

/** The name of the type of a component's arguments. */
function argumentsOf(declaration: ts.ClassDeclaration): string | undefined {
  const constructor = declaration.members.find(ts.isConstructorDeclaration);
  const type = constructor?.parameters.find(({ name }) => name.getText() === "args")?.type;
  return type?.getText();
}

/** The type that the engine knows a component by, from its call of `super`. */
function typeTokenOf(declaration: ts.ClassDeclaration): string {
  const token = /super\(\s*"([^"]+)"/.exec(declaration.getText())?.[1];
  if (token === undefined) throw new Error(`${nameOf(declaration)} says no type to the engine`);
  return token;
}

/** A type as it is written, with the comments on its parts. */
function written(declaration: Declaration): string {
  return declaration.getText().replace(/^export /, "");
}

function oneParagraph(doc: string): string {
  return doc.replace(/\s*\n\s*/g, " ");
}
