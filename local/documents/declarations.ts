import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

import ts from "typescript";

import { PROJECT } from "../paths.js";

/** What can be declared and documented. */
export type Declaration =
  | ts.InterfaceDeclaration
  | ts.TypeAliasDeclaration
  | ts.ClassDeclaration
  | ts.FunctionDeclaration
  | ts.VariableStatement;

/** A declaration and the file that it is in, from the root of the project. */
export interface Found {
  readonly file: string;
  readonly declaration: Declaration;
}

/** A member of an interface or of a class, or one of an inherited one. */
export interface Member {
  readonly name: string;
  readonly optional: boolean;
  /** As it is written, in one line. */
  readonly type: string;
  readonly doc: string;
  /** Where its type's names are to be looked for. */
  readonly file: string;
  readonly typeNode: ts.TypeNode | undefined;
}

/**
 * Reads declarations and their comments from sources, without types being worked out: that would take the compiler
 * seconds and gigabytes for the cloud's packages. What a source says is what a reader is told.
 */
export class Sources {
  readonly #files = new Map<string, ts.SourceFile>();

  /** A source file by its path from the root of the project. */
  file(path: string): ts.SourceFile {
    const known = this.#files.get(path);
    if (known) return known;
    const text = readFileSync(join(PROJECT, path), "utf8");
    const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    this.#files.set(path, source);
    return source;
  }

  /** Declarations that a file exports itself, in their order. */
  declaredIn(path: string): Found[] {
    return this.file(path)
      .statements.filter(isDeclaration)
      .filter(isExported)
      .map((declaration) => ({ file: path, declaration }));
  }

  /** The declaration that a name means in a file: its own, or one that is imported from this project. */
  find(path: string, name: string): Found | undefined {
    const own = this.file(path)
      .statements.filter(isDeclaration)
      .find((one) => nameOf(one) === name);
    if (own) return { file: path, declaration: own };
    for (const statement of this.file(path).statements) {
      const names = namesFrom(statement);
      if (!names?.has(name)) continue;
      const target = projectPath(path, names.module);
      return target === undefined ? undefined : this.find(target, names.get(name)!);
    }
    return undefined;
  }

  /** Members of an interface, those that it extends first; of an `Omit<X, "a">` all but what it leaves out. */
  members({ file, declaration }: Found): Member[] {
    if (!ts.isInterfaceDeclaration(declaration)) return [];
    const inherited = (declaration.heritageClauses ?? []).flatMap((clause) =>
      clause.types.flatMap((type) => this.#inherited(file, type)),
    );
    const own = declaration.members.flatMap((member) => {
      if (ts.isPropertySignature(member)) return [memberOf(file, member)];
      return ts.isMethodSignature(member) ? [methodOf(file, member)] : [];
    });
    const names = new Set(own.map(({ name }) => name));
    return [...inherited.filter(({ name }) => !names.has(name)), ...own];
  }

  #inherited(file: string, { expression, typeArguments }: ts.ExpressionWithTypeArguments): Member[] {
    const name = expression.getText();
    if (name === "Omit" || name === "Pick") {
      const [base, keys] = typeArguments!;
      const named = new Set([...keys!.getText().matchAll(/"(\w+)"/g)].map((match) => match[1]!));
      const all = ts.isTypeReferenceNode(base!) ? this.#membersOf(file, base.typeName.getText()) : [];
      return all.filter((member) => named.has(member.name) === (name === "Pick"));
    }
    return this.#membersOf(file, name);
  }

  #membersOf(file: string, name: string): Member[] {
    const found = this.find(file, name);
    return found ? this.members(found) : [];
  }
}

/** Fields of a class that everybody may read, and its methods but for the constructor. */
export function publicMembers(file: string, declaration: ts.ClassDeclaration): Member[] {
  const isPublic = (member: ts.ClassElement): boolean =>
    member.name !== undefined &&
    !ts.isPrivateIdentifier(member.name) &&
    !modifiersOf(member).some((kind) =>
      [ts.SyntaxKind.PrivateKeyword, ts.SyntaxKind.ProtectedKeyword, ts.SyntaxKind.OverrideKeyword].includes(
        kind,
      ),
    );
  // A comment that begins so is about what another part of the same package needs, and nobody else.
  const isInternal = (member: ts.ClassElement): boolean => docOf(member).startsWith("For `");
  const told = declaration.members.filter((member) => isPublic(member) && !isInternal(member));
  return told.flatMap((member) => {
    if (ts.isPropertyDeclaration(member) || ts.isGetAccessor(member)) return [memberOf(file, member)];
    return ts.isMethodDeclaration(member) ? [methodOf(file, member)] : [];
  });
}

/** The name that a declaration gives. */
export function nameOf(declaration: Declaration): string {
  if (!ts.isVariableStatement(declaration)) return declaration.name?.text ?? "";
  return declaration.declarationList.declarations[0]!.name.getText();
}

/** The comment before a declaration or a member, without marks, links as code; empty when there is none. */
export function docOf(node: ts.Node): string {
  // Not the compiler's own reading of it, which takes the name of a package for a tag and ends there.
  const comment = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).at(-1);
  if (!comment) return "";
  return comment
    .getText()
    .replace(/^\/\*\*|\*\/$/g, "")
    .replace(/^[ \t]*\* ?/gm, "")
    .replace(/\{@link ([\w.]+)(?:\(\))?\}/g, "`$1`")
    .trim();
}

/** A signature as it is written, without the body, in one line. */
export function signatureOf(declaration: ts.FunctionDeclaration): string {
  const parameters = declaration.parameters.map((parameter) => oneLine(parameter.getText())).join(", ");
  const result = declaration.type ? `: ${oneLine(declaration.type.getText())}` : "";
  return `${declaration.name!.text}(${parameters})${result}`;
}

/** Source text in one line, without comments. */
export function oneLine(text: string): string {
  return text
    .replace(/\/\*[^]*?\*\//g, "")
    .replace(/\/\/.*$/gm, "")
    .replace(/\s+/g, " ")
    .replace(/([{(]) (?=[)}])/g, "$1")
    .trim();
}

function memberOf(
  file: string,
  member: ts.PropertySignature | ts.PropertyDeclaration | ts.GetAccessorDeclaration,
): Member {
  return {
    name: member.name.getText(),
    optional: !ts.isGetAccessor(member) && member.questionToken !== undefined,
    type: oneLine(member.type?.getText() ?? ""),
    doc: docOf(member),
    file,
    typeNode: member.type,
  };
}

function methodOf(file: string, member: ts.MethodDeclaration | ts.MethodSignature): Member {
  const parameters = member.parameters.map((parameter) => oneLine(parameter.getText())).join(", ");
  return {
    name: `${member.name.getText()}(${parameters})`,
    optional: false,
    type: oneLine(member.type?.getText() ?? ""),
    doc: docOf(member),
    file,
    typeNode: member.type,
  };
}

function isDeclaration(node: ts.Node): node is Declaration {
  return (
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isClassDeclaration(node) ||
    ts.isFunctionDeclaration(node) ||
    ts.isVariableStatement(node)
  );
}

function isExported(node: ts.Node): boolean {
  return modifiersOf(node).includes(ts.SyntaxKind.ExportKeyword);
}

function modifiersOf(node: ts.Node): ts.SyntaxKind[] {
  return ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []).map(({ kind }) => kind) : [];
}

interface NamesFrom extends Map<string, string> {
  module: string;
}

/** The names that an import or a re-export brings, to what they are called where they come from. */
function namesFrom(statement: ts.Statement): NamesFrom | undefined {
  const elements = ts.isImportDeclaration(statement)
    ? statement.importClause?.namedBindings
    : ts.isExportDeclaration(statement)
      ? statement.exportClause
      : undefined;
  if (!elements || !(ts.isNamedImports(elements) || ts.isNamedExports(elements))) return undefined;
  const { moduleSpecifier } = statement as ts.ImportDeclaration | ts.ExportDeclaration;
  if (!moduleSpecifier || !ts.isStringLiteral(moduleSpecifier)) return undefined;
  const names = new Map(
    [...elements.elements].map((one) => [one.name.text, (one.propertyName ?? one.name).text]),
  );
  return Object.assign(names, { module: moduleSpecifier.text });
}

/** The file of this project that an import is of; undefined where it is somebody else's. */
function projectPath(from: string, module: string): string | undefined {
  const workspace = /^@video-storage\/([\w-]+)(?:\/([\w-]+))?$/.exec(module);
  const path = module.startsWith(".")
    ? normalize(join(dirname(from), module.replace(/\.js$/, ".ts")))
    : workspace
      ? `${workspace[1]}/src/${workspace[2] ?? "index"}.ts`
      : undefined;
  return path !== undefined && existsSync(join(PROJECT, path)) ? path : undefined;
}
