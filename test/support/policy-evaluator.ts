import type { PolicyDocument, PolicyStatement } from "../../components/lib/bucket-policies.js";

/** What is asked, as AWS's evaluation sees it. Keys that a request doesn't have are absent, not empty. */
export interface PolicyRequest {
  readonly action: string;
  readonly resource: string;
  readonly context?: Readonly<Record<string, string>>;
}

/**
 * AWS's evaluation within one account (IAM user guide, "Policy evaluation logic"): a denial of any document counts,
 * then an allowance of any, and otherwise no. An operator or element that isn't known here is an error, so that a
 * policy never passes because half of it wasn't read.
 */
export function isAllowed(documents: readonly PolicyDocument[], request: PolicyRequest): boolean {
  const matching = documents
    .flatMap(({ Statement }) => Statement)
    .filter((statement) => matches(statement, request));
  return (
    matching.some(({ Effect }) => Effect === "Allow") && !matching.some(({ Effect }) => Effect === "Deny")
  );
}

const KNOWN_ELEMENTS = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];

function matches(statement: PolicyStatement, { action, resource, context = {} }: PolicyRequest): boolean {
  const unknown = Object.keys(statement).filter((element) => !KNOWN_ELEMENTS.includes(element));
  if (unknown.length > 0) throw new Error(`elements that aren't evaluated here: ${unknown.join(", ")}`);
  return (
    statement.Action.some((pattern) => like(pattern.toLowerCase(), action.toLowerCase())) &&
    (statement.Resource ?? ["*"]).some((pattern) => like(pattern, resource)) &&
    Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
      Object.entries(keys).every(([key, values]) => holds(operator, context[key], [values].flat(), key)),
    )
  );
}

function holds(operator: string, found: string | undefined, values: readonly string[], key: string): boolean {
  switch (operator) {
    case "StringEquals":
    case "Bool":
      return found !== undefined && values.includes(found);
    // Negated, so that it holds where the key is absent.
    case "StringNotEquals":
      return found === undefined || !values.includes(found);
    case "StringLike":
      return found !== undefined && values.some((pattern) => like(pattern, found));
    case "NumericLessThan":
      return found !== undefined && values.some((limit) => Number(found) < Number(limit));
    case "Null":
      return values.includes(String(found === undefined));
    default:
      throw new Error(`${operator} (${key}) isn't evaluated here`);
  }
}

function like(pattern: string, text: string): boolean {
  const expression = pattern
    .split("")
    .map((character) =>
      character === "*" ? ".*" : character === "?" ? "." : character.replace(/[\\^$.|+()[\]{}]/, "\\$&"),
    )
    .join("");
  return new RegExp(`^${expression}$`, "s").test(text);
}
