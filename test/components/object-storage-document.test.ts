import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

import { parseTenantId } from "@video-storage/contract/identity";

import { bucketRoles } from "../../components/lib/bucket-policies.js";
import { lifecycleRules } from "../../components/lib/object-lifecycle.js";

const text = readFileSync(new URL("../../docs/object-storage.md", import.meta.url), "utf8");

/** The cells of each row of the table below a heading. */
function tableBelow(heading: string): string[][] {
  const section = text.split(`## ${heading}\n`)[1]!.split("\n## ")[0]!;
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

it("docs/object-storage.md says of each role exactly what its policy allows", () => {
  const roles = bucketRoles({
    bucket: "videos",
    tenants: [parseTenantId("tenant")],
    probeAppliesLifecycle: true,
  });
  const names = (actions: readonly string[]): string =>
    actions.map((action) => action.replace("s3:", "")).join(", ");
  const declared = roles.map(({ name, policy }) => {
    const allowed = policy.Statement.filter(({ Effect }) => Effect === "Allow");
    const [objects, ...bucket] = allowed;
    const prefix = objects!.Resource![0]!.slice("arn:aws:s3:::videos/".length, -1);
    const capital = (part: string): string =>
      part.replace("tenant/", "TENANT/").replace(/-tenant$/, "-TENANT");
    return [
      `\`${capital(name)}\``,
      `\`${prefix.replace("tenants/tenant/", "tenants/TENANT/")}\``,
      names(objects!.Action),
      names(bucket.flatMap(({ Action }) => Action)),
    ];
  });
  expect(tableBelow("What a role may do")).toEqual(declared);
});

it("docs/object-storage.md names every lifecycle rule, with its default", () => {
  const transition = { afterDays: 30, storageClass: "GLACIER_IR" };
  const declared = lifecycleRules({ transition }).map((rule) => {
    const days =
      rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation ??
      rule.NoncurrentVersionExpiration?.NoncurrentDays ??
      (rule.Expiration && "Days" in rule.Expiration ? rule.Expiration.Days : undefined);
    return [`\`${rule.ID}\``, days];
  });
  const told = tableBelow("Lifecycle").map(([rule, , standard]) => {
    const days = /^\d+/.exec(standard!);
    return [rule, days ? Number(days[0]) : undefined];
  });
  expect(told).toEqual(declared);
});
