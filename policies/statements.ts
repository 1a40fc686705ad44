import { at, entries, escaped, objects, texts, UNKNOWN } from "./model";

/** A condition of a statement, which holds only where all of its conditions do. */
export interface Condition {
  readonly operator: string;
  /** In small letters, because IAM takes any. */
  readonly key: string;
  /** Texts; {@link UNKNOWN} where one isn't known yet. */
  readonly values: readonly unknown[];
}

/** A statement of a policy of IAM, of a bucket or of a role's trust. */
export interface Statement {
  /** What a message calls it: its place in the document. */
  readonly where: string;
  readonly effect: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  /** Whether anybody is meant. */
  readonly everybody: boolean;
  /** The accounts, roles and users of AWS that are meant. */
  readonly principals: readonly string[];
  /** Whether somebody is meant for whom an identity provider vouches. */
  readonly federated: boolean;
  readonly conditions: readonly Condition[];
}

/** The statements of a policy document, as text or as an object; undefined when it can't be read. */
export function statementsOf(document: unknown): Statement[] | undefined {
  let parsed: unknown = document;
  if (typeof document === "string") {
    try {
      parsed = JSON.parse(document);
    } catch {
      return undefined;
    }
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const listed = at(parsed, "Statement");
  return objects(Array.isArray(listed) ? listed : [listed]).map(statementOf);
}

function statementOf(statement: Record<string, unknown>, index: number): Statement {
  const principal = statement["Principal"];
  // What is allowed but for what it names is nearly everything; what is denied so is not.
  const allowsAllBut = (key: string): boolean =>
    statement["Effect"] === "Allow" && statement[key] !== undefined;
  const except = (key: string): readonly string[] => (allowsAllBut(key) ? ["*"] : []);
  return {
    where: `statement ${index + 1}`,
    effect: String(statement["Effect"]),
    actions: [...texts(statement["Action"]), ...except("NotAction")],
    resources: [...texts(statement["Resource"]), ...except("NotResource")],
    everybody: principal === "*" || texts(at(principal, "AWS")).includes("*") || allowsAllBut("NotPrincipal"),
    principals: texts(at(principal, "AWS")),
    federated: at(principal, "Federated") !== undefined,
    conditions: entries(statement["Condition"]).flatMap(([operator, keys]) =>
      entries(keys).map(([key, given]) => ({
        operator,
        key: key.toLowerCase(),
        values: (Array.isArray(given) ? given : [given]).map((value: unknown) =>
          value === UNKNOWN ? value : String(value),
        ),
      })),
    ),
  };
}

/**
 * Whether a pattern of IAM's, with `*` and `?`, means all that is wanted; a `*` in that stands for any text too.
 */
export function covers(pattern: string, wanted: string): boolean {
  const signs: Readonly<Record<string, string>> = { "*": ".*", "?": "[^*]" };
  const expression = [...pattern].map((sign) => signs[sign] ?? escaped(sign)).join("");
  return new RegExp(`^${expression}$`, "s").test(wanted);
}

/** Whether a statement is about all of an action, such as `s3:GetObject` or `s3:*`; IAM takes small letters for large ones. */
export function isAboutAction({ actions }: Statement, wanted: string): boolean {
  return actions.some((action) => covers(action.toLowerCase(), wanted.toLowerCase()));
}

/** Those that hold for what is written and for nothing else; with IfExists they would hold without the key too. */
const NARROWING_OPERATORS =
  /^(?:ForAnyValue:)?(?:StringEquals|StringEqualsIgnoreCase|StringLike|ArnEquals|ArnLike)$/;

/** Whether a condition on one of these keys lets only what it names through. */
export function isNarrowedBy({ conditions }: Statement, keys: RegExp): boolean {
  return conditions.some(
    ({ operator, key, values }) =>
      keys.test(key) &&
      NARROWING_OPERATORS.test(operator) &&
      values.every((value) => value === UNKNOWN || !/^[*?]*$/.test(value as string)),
  );
}
