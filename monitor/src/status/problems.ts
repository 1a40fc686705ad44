import { formatAgo, formatCount, formatPercent, formatSpan, plural } from "./format.js";
import type { Alert, Level, Problem, Status, Volume, VolumeCondition } from "./model.js";

/** Begun deletions whose outcome is not recorded: a large job takes minutes, and a killed sweep is finished by the next. */
const OPEN_INTENT_SECONDS = 3600;

const BY_LEVEL: Record<Level, number> = { failing: 0, attention: 1, ok: 2 };

/** All that somebody should look at, the worst first. */
export function problemsOf(
  status: Omit<Status, "level" | "problems">,
  volumes: readonly Volume[],
): Problem[] {
  return [
    ...sourceProblems(status),
    ...auditProblems(status),
    ...(status.alerts?.alerts ?? []).filter(({ state }) => state === "firing").map(alertProblem),
    ...volumeProblems(volumes, status),
  ].sort((a, b) => BY_LEVEL[a.level] - BY_LEVEL[b.level]);
}

export function levelOf(problems: readonly Problem[]): Level {
  return problems.reduce<Level>(
    (worst, { level }) => (BY_LEVEL[level] < BY_LEVEL[worst] ? level : worst),
    "ok",
  );
}

function sourceProblems({
  catalogue,
  prometheus,
  at,
}: Pick<Status, "catalogue" | "prometheus" | "at">): Problem[] {
  const found: Problem[] = [];
  const stale = (readAt: string | null): string =>
    readAt === null ? "nothing of it is known yet" : `what is shown is from ${formatAgo(readAt, at)}`;
  if (catalogue.state === "unreachable") {
    const message = `${catalogue.problem}; ${stale(catalogue.readAt)}`;
    found.push({ level: "failing", code: "catalogue-unreachable", message, part: "catalogue" });
  } else if (catalogue.readAt === null) {
    const message = "The catalogue has not answered yet";
    found.push({ level: "attention", code: "catalogue-waiting", message, part: "catalogue" });
  }
  if (prometheus.state === "unreachable") {
    found.push({
      level: "attention",
      code: "prometheus-unreachable",
      message: `${prometheus.problem}; alerts are not known, and use is as the last sweeps left it`,
      part: "prometheus",
    });
  }
  return found;
}

function auditProblems({ audit }: Pick<Status, "audit">): Problem[] {
  const { verification, open, oldestOpenSeconds } = audit;
  const found: Problem[] = [];
  const add = (level: Problem["level"], code: string, message: string): void =>
    void found.push({ level, code, message, part: "audit" });
  if (verification.state === "broken") {
    const [first] = verification.problems;
    const where = first ? `: row ${first.sequence} of ${first.volume} ${first.problem}` : "";
    add("failing", "audit-broken", `The audit is not whole${where}`);
  }
  if (verification.state === "failed")
    add("failing", "audit-unverified", `The audit could not be verified: ${verification.failure}`);
  if (open > 0 && oldestOpenSeconds > OPEN_INTENT_SECONDS) {
    const since = `the oldest ${formatSpan(oldestOpenSeconds)} ago`;
    add(
      "attention",
      "audit-open",
      `${plural(open, "deletion or move", "deletions or moves")} begun and not finished, ${since}`,
    );
  }
  return found;
}

function alertProblem({ name, severity, summary }: Alert): Problem {
  const level = severity === "critical" ? "failing" : "attention";
  return { level, code: `alert-${name}`, message: summary, part: "alerts" };
}

const CONDITIONS: readonly {
  readonly condition: VolumeCondition;
  readonly level: Problem["level"];
  readonly says: (volume: Volume, now: string) => string;
  readonly sums: string;
}[] = [
  {
    condition: "sweep-failed",
    level: "failing",
    says: ({ lastSweep }) => `the last sweep could not deal with ${plural(lastSweep?.failed ?? 0, "job")}`,
    sums: "where the last sweep could not deal with every job",
  },
  {
    condition: "sweep-late",
    level: "failing",
    says: ({ lastSweep }, now) => `no sweep has ended since ${formatAgo(lastSweep!.finishedAt!, now)}`,
    sums: "where a sweep is overdue",
  },
  {
    condition: "never-swept",
    level: "attention",
    says: () => "no sweep has ended there yet",
    sums: "where no sweep has ended yet",
  },
  {
    condition: "still-full",
    level: "attention",
    says: ({ lastSweep }) => {
      const { usageBytes, capacityBytes } = lastSweep!;
      const left = formatPercent((100 * usageBytes!) / capacityBytes!);
      return `the last sweep left it ${left} full, over its high mark: nothing more may go there`;
    },
    sums: "that their last sweep left over the high mark: nothing more may go there",
  },
];

function volumeProblems(volumes: readonly Volume[], { at }: Pick<Status, "at">): Problem[] {
  return CONDITIONS.flatMap(({ condition, level, says, sums }): Problem[] => {
    const found = volumes.filter((volume) => volume.condition === condition);
    if (found.length === 0) return [];
    const [first] = found.sort((a, b) => (b.usedPercent ?? 0) - (a.usedPercent ?? 0));
    const message =
      found.length === 1
        ? `${first!.name}: ${says(first!, at)}`
        : `${formatCount(found.length)} volumes ${sums}, among them ${first!.name}`;
    return [{ level, code: condition, message, part: "volumes" }];
  });
}
