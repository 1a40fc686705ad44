import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
} from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import { LIFECYCLE_RULES } from "@video-storage/contract/object-storage-capabilities";
import type {
  LifecycleOutcome,
  LifecycleRuleName,
  ObjectStorageCapabilities,
} from "@video-storage/contract/object-storage-capabilities";
import { errorText } from "./attempt.js";
import type { LifecycleRule } from "./settings.js";

type Findings = ObjectStorageCapabilities["lifecycle"];

/**
 * Brings the bucket to as many of the declared rules as its endpoint takes, and says what became of each. One
 * that is refused by itself is left out; that a put succeeds proves nothing, so every rule is read back.
 * The rules that are there and not declared are replaced: the bucket is the stack's.
 */
export async function applyLifecycle(
  client: S3Client,
  bucket: string,
  rules: readonly LifecycleRule[],
): Promise<Findings> {
  const put = async (some: readonly LifecycleRule[]): Promise<unknown> => {
    try {
      await client.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket: bucket,
          LifecycleConfiguration: { Rules: some as never },
        }),
      );
      return undefined;
    } catch (error) {
      return error;
    }
  };
  const refusals = new Map<LifecycleRuleName, string>();
  if (rules.length > 0 && (await put(rules)) !== undefined) {
    // Each is added to those that were taken, so that at no time less is in force than the endpoint can keep.
    const taken: LifecycleRule[] = [];
    for (const rule of rules) {
      const error = await put([...taken, rule]);
      if (error === undefined) taken.push(rule);
      else refusals.set(rule.ID, errorText(error));
    }
  }
  const findings = await readLifecycle(client, bucket, rules);
  for (const [name, detail] of refusals) findings[name] = { outcome: "refused", detail };
  return findings;
}

/** Compares what is there with what is declared. */
export async function readLifecycle(
  client: S3Client,
  bucket: string,
  rules: readonly LifecycleRule[],
): Promise<Findings> {
  const found = await rulesOf(client, bucket);
  const finding = (name: LifecycleRuleName): { outcome: LifecycleOutcome; detail: string } => {
    const declared = rules.find(({ ID }) => ID === name);
    if (!declared) return { outcome: "not-declared", detail: "no such rule is declared" };
    if (typeof found === "string") return { outcome: "dropped", detail: found };
    const kept = found.find((rule) => rule["ID"] === name);
    if (!kept) return { outcome: "dropped", detail: "the endpoint's rules don't have it" };
    const wanted = canonical(normalised(declared as unknown as Record<string, unknown>));
    const actual = canonical(normalised(kept));
    return wanted === actual
      ? { outcome: "kept", detail: "read back as declared" }
      : { outcome: "altered", detail: `declared ${wanted}, read back ${actual}` };
  };
  return Object.fromEntries(LIFECYCLE_RULES.map((name) => [name, finding(name)])) as Findings;
}

async function rulesOf(client: S3Client, bucket: string): Promise<Record<string, unknown>[] | string> {
  try {
    const { Rules = [] } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }));
    return Rules as unknown as Record<string, unknown>[];
  } catch (error) {
    if ((error as Error).name === "NoSuchLifecycleConfiguration") return [];
    return `the endpoint's rules can't be read: ${errorText(error)}`;
  }
}

/** The same rule in one form: servers leave out an empty prefix, or put it beside the filter. */
function normalised({ Prefix, Filter, ...rest }: Record<string, unknown>): Record<string, unknown> {
  const filter = (Filter ?? {}) as {
    Prefix?: string;
    Tag?: unknown;
    And?: { Prefix?: string; Tags?: unknown[] };
  };
  const prefix = filter.And?.Prefix ?? filter.Prefix ?? Prefix ?? "";
  const tags = filter.And?.Tags ?? (filter.Tag ? [filter.Tag] : []);
  return { ...rest, prefix, tags };
}

/** Keys in order, and no trace of what is undefined, empty or merely said to be off. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, entry: unknown) =>
    typeof entry === "object" && entry !== null && !Array.isArray(entry)
      ? Object.fromEntries(
          Object.entries(entry)
            .filter(([, one]) => one !== undefined && one !== false)
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        )
      : entry,
  );
}
