import { ADMISSION_DIRECTORY, TRASH_DIRECTORY } from "@video-storage/contract/layout";

import type { Entry, Evidence, Violation, Volume } from "./evidence.js";
import { Findings } from "./findings.js";

/** No byte is in another tenant's reach: by owners and modes, by keys, by credentials. */
export function checkReach(evidence: Evidence): Violation[] {
  const findings = new Findings(evidence);
  for (const { volume, entries, records } of evidence.disks) {
    for (const entry of entries) checkEntry(findings, volume, entry);
    for (const [jobId, { tenantId, jobId: own }] of records) {
      const subject = `${volume.name}/${jobId}`;
      const row = findings.rows.get(jobId);
      if (own !== jobId) findings.add("foreign-record", subject, `its record is job ${own}'s`);
      if (tenantId !== volume.tenant || (row && row.tenantId !== tenantId))
        findings.add(
          "foreign-record",
          subject,
          `its record says ${tenantId}, the catalogue ${row?.tenantId}, and the volume is ${volume.tenant}'s`,
        );
    }
  }
  const users = evidence.disks.map(({ volume }) => volume.uid);
  if (new Set(users).size !== users.length)
    findings.add("shared-user", users.join(", "), "two volumes belong to one user");
  checkKeys(evidence, findings);
  for (const { tenant, what, own, allowed } of evidence.attempts) {
    if (allowed && !own) findings.add("credentials-reach", tenant, `could ${what}`);
    if (!allowed && own)
      findings.add("credentials-void", tenant, `could not ${what}: the other attempts show nothing`);
  }
  return findings.violations;
}

function checkEntry(findings: Findings, volume: Volume, { path, kind, uid, gid, mode, names }: Entry): void {
  const subject = `${volume.name}/${path}`;
  const shown = `${kind} of ${uid}:${gid}, mode ${mode.toString(8)}`;
  if (kind === "link" || kind === "other" || (kind === "file" && names > 1))
    findings.add("unsafe-entry", subject, `${shown}, ${names} names`);
  if (uid !== volume.uid || (gid !== volume.uid && gid !== volume.uploadGid))
    findings.add("foreign-owner", subject, `${shown}; the slot's are ${volume.uid} and ${volume.uploadGid}`);
  // The upload process reads; nobody but the slot's user writes.
  if ((mode & 0o027) !== 0) findings.add("open-mode", subject, shown);
  const [first] = path.split("/");
  if ((first === TRASH_DIRECTORY || first === ADMISSION_DIRECTORY) && kind === "link")
    findings.add("unsafe-entry", subject, "a link where the sweep or the workers keep their own");
}

const KEY = /^tenants\/([^/]+)\/jobs\/([^/]+)\/.+$/;

function checkKeys({ catalogue, objects, disks }: Evidence, findings: Findings): void {
  const owners = new Map<string, string>();
  for (const { tenantId, sha256, bytes, packKey, key } of catalogue.objects) {
    const [, tenant, jobId] = KEY.exec(packKey ?? key) ?? [];
    if (tenant !== tenantId || findings.rows.get(jobId!)?.tenantId !== tenantId)
      findings.add("foreign-key", packKey ?? key, `its row is ${tenantId}'s`);
    if (bytes > 0) owners.set(sha256, tenantId);
  }
  const tenants = new Map(catalogue.jobs.map(({ jobId, tenantId }) => [jobId, tenantId]));
  const onDisks = new Map<string, string>();
  for (const { volume, entries } of disks) {
    for (const { path, sha256, bytes } of entries)
      if (sha256 !== undefined && bytes > 4096 && !path.includes("/logs/"))
        onDisks.set(sha256, volume.tenant);
  }
  for (const { key, sha256, bytes } of objects) {
    const [, tenant, jobId] = KEY.exec(key) ?? [];
    if (tenant === undefined) {
      findings.add("foreign-key", key, "it is no job's key");
      continue;
    }
    const owner = tenants.get(jobId!);
    if (owner !== undefined && owner !== tenant)
      findings.add("foreign-key", key, `it lies with ${tenant}, and the job is ${owner}'s`);
    for (const other of [owners.get(sha256), onDisks.get(sha256)]) {
      if (other !== undefined && other !== tenant && bytes > 4096)
        findings.add("foreign-content", key, `it lies with ${tenant}, and its bytes are ${other}'s`);
    }
  }
}
