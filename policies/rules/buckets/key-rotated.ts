import type { ResourceRule } from "../../model";
import { is, isSet, shown } from "../../model";

const SHORTEST_WINDOW = 7;
const LONGEST_PERIOD = 365;

export const keyRotated: ResourceRule = {
  name: "key-rotated",
  subject: "buckets",
  description: "A key is renewed every year by itself, and its deletion can be undone for a while.",
  level: "mandatory",
  severity: "high",
  appliesTo: ({ type }) => type === "aws:kms/key:Key",
  check({ props }) {
    const window = props["deletionWindowInDays"];
    const problems: string[] = [];
    if (!is(props["enableKeyRotation"], true)) {
      problems.push(`enableKeyRotation is ${shown(props["enableKeyRotation"])}; set true`);
    }
    const period = props["rotationPeriodInDays"];
    if (typeof period === "number" && period > LONGEST_PERIOD) {
      problems.push(`rotationPeriodInDays is ${period}; leave it out, which means ${LONGEST_PERIOD}`);
    }
    if (isSet(window) && typeof window === "number" && window <= SHORTEST_WINDOW) {
      problems.push(`deletionWindowInDays is ${window}, the shortest there is; set 30`);
    }
    return problems;
  },
};
