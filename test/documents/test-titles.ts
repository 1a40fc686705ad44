import { readFileSync } from "node:fs";

import ts from "typescript";

const DECLARES = new Set(["it", "test", "describe"]);

/**
 * The titles of the tests and groups of tests that a file declares, as they are written: what `it.each` fills in is
 * still `%s`, and what a template fills in is `…`.
 */
export function testTitles(file: string): Set<string> {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest);
  const titles = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.arguments.length > 1 && DECLARES.has(calledName(node))) {
      const title = titleOf(node.arguments[0]!);
      if (title !== undefined) titles.add(title);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return titles;
}

/** `it` of `it(…)`, `it.each(…)(…)`, `it.skipIf(…)(…)` and the like. */
function calledName(call: ts.CallExpression): string {
  let callee: ts.Expression = call.expression;
  while (!ts.isIdentifier(callee)) {
    if (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) callee = callee.expression;
    else return "";
  }
  return callee.text;
}

function titleOf(argument: ts.Expression): string | undefined {
  if (ts.isStringLiteralLike(argument)) return argument.text;
  if (!ts.isTemplateExpression(argument)) return undefined;
  return argument.head.text + argument.templateSpans.map(({ literal }) => `…${literal.text}`).join("");
}
