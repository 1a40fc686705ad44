import { at, entries, objects } from "./model";

/** Whether a selector selects everything: it is there and asks for nothing. */
export function selectsAll(selector: unknown): boolean {
  return (
    typeof selector === "object" &&
    selector !== null &&
    entries(at(selector, "matchLabels")).length === 0 &&
    objects(at(selector, "matchExpressions")).length === 0
  );
}
