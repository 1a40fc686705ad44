import type { AuditResult } from "./audit.js";
import { isOfProject } from "./bundled-packages.js";
import type { BundledPackage, ImageContents } from "./bundled-packages.js";
import { InvalidLicenceError, isAllowed } from "./licences.js";

/** What of a bundle may not be in an image, as `name@version: why`. */
export function forbidden(packages: readonly BundledPackage[]): string[] {
  return packages.flatMap((one) => {
    if (isOfProject(one)) return [];
    const named = `${one.name}@${one.version}`;
    if (one.licence === null) return [`${named}: it states no licence`];
    try {
      return isAllowed(one.licence) ? [] : [`${named}: ${one.licence} is not on the list of licences`];
    } catch (error) {
      if (error instanceof InvalidLicenceError) return [`${named}: ${error.message}`];
      throw error;
    }
  });
}

/** How many packages are under each licence, most first. */
export function byLicence(packages: readonly BundledPackage[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const one of packages) {
    const licence = one.licence ?? "none";
    if (!isOfProject(one)) counts.set(licence, (counts.get(licence) ?? 0) + 1);
  }
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

/** What is told at the end of the tests, a line each; `sizes` are in bytes, by image, its base and all. */
export function reportLines(
  contents: readonly ImageContents[],
  sizes: ReadonlyMap<string, number>,
  audit: AuditResult,
): string[] {
  const bundles = contents.flatMap((one) => {
    const licences = byLicence(one.packages).map(([licence, count]) => `${licence} ${count}`);
    const refused = forbidden(one.packages);
    const built = sizes.get(one.image);
    const size = built === undefined ? "image not built here" : `image ${megabytes(built)} with its base`;
    return [
      `${one.image}: bundle ${megabytes(one.bytes)} of ${one.packages.length} packages (${licences.join(", ")}); ${size}`,
      ...refused.map((line) => `  NOT ALLOWED ${line}`),
    ];
  });
  return [...bundles, auditLine(audit)];
}

function auditLine(audit: AuditResult): string {
  if (audit.kind === "unanswered") {
    return `npm audit: not known, the registry didn't answer it (${audit.reason})`;
  }
  const found = Object.entries(audit.bySeverity).filter(([, count]) => count > 0);
  if (found.length === 0) return "npm audit: no weakness is known in what is deployed";
  return `npm audit: ${found.map(([severity, count]) => `${count} ${severity}`).join(", ")} in what is deployed`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
