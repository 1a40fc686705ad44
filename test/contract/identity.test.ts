import fc from "fast-check";
import path from "node:path";
import { describe, expect, it } from "vitest";
import {
  InvalidIdentityError,
  isJobId,
  isTenantId,
  newJobId,
  parseJobId,
  parseTenantId,
} from "@video-storage/contract/identity";
import {
  JOBS_ROOT,
  TRASH_DIRECTORY,
  jobDirectory,
  jobPrefix,
  tenantPrefix,
} from "@video-storage/contract/layout";
import { workerLogin } from "@video-storage/catalogue/logins";
import { anyText, jobIds, tenantIds } from "../support/arbitraries.js";

describe("tenant ids", () => {
  it("takes what the alphabet allows, from 1 to 40 characters", () => {
    for (const id of ["a", "7", "acme", "acme-video-2", "a--b", "a".repeat(40)])
      expect(parseTenantId(id)).toBe(id);
  });

  it.each([
    "",
    "-a",
    "a-",
    "A",
    "a.b",
    "a/b",
    "..",
    "a_b",
    "ä",
    "a ",
    "a\n",
    "a\0",
    "a".repeat(41),
    7,
    null,
    undefined,
  ])("refuses %j and says what is allowed", (value) => {
    expect(() => parseTenantId(value)).toThrow(InvalidIdentityError);
    expect(() => parseTenantId(value)).toThrow(/use 1 to 40 lower-case letters, digits and hyphens/);
  });

  it("shows a long value only in part", () => {
    expect(() => parseTenantId("x".repeat(10_000))).toThrow(/^tenant id "x{79}… is not valid/);
  });
});

describe("job ids", () => {
  it("are valid, unique and in the order of their making", () => {
    const ids = Array.from({ length: 10_000 }, newJobId);
    expect(ids.every(isJobId)).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual(ids);
  });

  it.each([
    "0190163d-8694-739b-aea5-966c26f8ad91".toUpperCase(),
    "0190163d-8694-439b-aea5-966c26f8ad91", // version 4
    "0190163d-8694-739b-1ea5-966c26f8ad91", // another variant
    "0190163d8694739baea5966c26f8ad91",
    "0190163d-8694-739b-aea5-966c26f8ad91\n",
    "0190163d-8694-739b-aea5-966c26f8ad91/..",
    "",
    TRASH_DIRECTORY,
  ])("refuses %j", (value) => {
    expect(() => parseJobId(value)).toThrow(InvalidIdentityError);
  });

  it("stay what they were in version 1: stored data depends on it", () => {
    const id = parseJobId("0190163d-8694-739b-aea5-966c26f8ad91");
    expect(jobDirectory(JOBS_ROOT, id)).toBe("/tmp/video-jobs/0190163d-8694-739b-aea5-966c26f8ad91");
    expect(jobPrefix(parseTenantId("acme"), id)).toBe(
      "tenants/acme/jobs/0190163d-8694-739b-aea5-966c26f8ad91/",
    );
    expect(workerLogin(parseTenantId("acme-b"))).toBe("worker_acme_b");
  });
});

describe("any text at all", () => {
  it("is either refused or a single harmless name", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        for (const accepted of [isTenantId(text), isJobId(text)]) {
          expect(accepted && (/[/\\.\0\s]/.test(text) || text !== path.basename(text))).toBe(false);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("directories and keys", () => {
  it("lie directly below the root, whatever the id", () => {
    fc.assert(
      fc.property(jobIds, (id) => {
        expect(path.posix.dirname(path.posix.resolve(jobDirectory(JOBS_ROOT, id)))).toBe(JOBS_ROOT);
      }),
    );
  });

  it("differ when tenant or job differ, and no prefix begins another", () => {
    fc.assert(
      fc.property(tenantIds, jobIds, tenantIds, jobIds, (tenantA, jobA, tenantB, jobB) => {
        const same = tenantA === tenantB && jobA === jobB;
        expect(jobPrefix(tenantA, jobA).startsWith(jobPrefix(tenantB, jobB))).toBe(same);
        expect(tenantPrefix(tenantA).startsWith(tenantPrefix(tenantB))).toBe(tenantA === tenantB);
        expect(jobPrefix(tenantA, jobA).startsWith(tenantPrefix(tenantB))).toBe(tenantA === tenantB);
        expect(workerLogin(tenantA) === workerLogin(tenantB)).toBe(tenantA === tenantB);
        expect(workerLogin(tenantA)).toMatch(/^[a-z][a-z0-9_]{0,62}$/);
      }),
      { numRuns: 1_000 },
    );
  });
});
