import { defineConfig } from "vitest/config";

import FileOrder from "./test/support/file-order.js";

/** Tests with an environment of their own that lie beside what they test. */
const WITH_AN_ENVIRONMENT = ["test/infra/engine-cluster.test.ts"];
const ON_A_REAL_S3_SERVER = [
  "test/worker/staging.test.ts",
  "test/object-storage/**/*.test.ts",
  "test/soak/checker.test.ts",
];

/** They declare resources in their own process, or import programs that do. */
const DECLARING = [
  "test/components/**/*.test.ts",
  "test/examples/**/*.test.ts",
  "test/policies/adopting-examples.test.ts",
];

export default defineConfig({
  test: {
    expect: { requireAssertions: true },
    pool: "forks",
    // One thread for V8's own work beside the program's: with four, a tenth of what the object storage's tests take goes to
    // marking side by side, and no processor is idle for it here.
    execArgv: ["--v8-pool-size=1", "--import", new URL("./infra/closure-packages.mjs", import.meta.url).href],
    // Most tests wait for a process, a disk or a database, and one worker, the default on two cores, would idle.
    maxWorkers: 2,
    sequence: { sequencer: FileOrder },
    // Ends what hangs; what is busy beside it may be slow.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: "fast",
          // Two processes for all files: a new one for each, and what it loads anew, took a tenth of the time.
          isolate: false,
          include: ["test/**/*.test.ts"],
          exclude: [
            ...["test/local/**", "test/alerts/**"],
            ...[...DECLARING, ...WITH_AN_ENVIRONMENT, ...ON_A_REAL_S3_SERVER],
          ],
          globalSetup: ["test/support/rendered-stacks.ts", "test/support/made-once.ts"],
        },
      },
      // Pulumi's runtime keeps its state in its modules: a process per file keeps one test's mocks out of another's.
      { extends: true, test: { name: "fast-declaring", include: DECLARING } },
      { extends: true, test: { name: "alerts", include: ["test/alerts/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "object-storage",
          isolate: false,
          include: ON_A_REAL_S3_SERVER,
          globalSetup: ["test/support/minio.ts", "test/support/made-once.ts"],
        },
      },
      {
        // Each file has environments of its own, and with more than one at a time none gets its promises kept here.
        extends: true,
        test: {
          name: "local",
          include: ["test/local/*.test.ts", ...WITH_AN_ENVIRONMENT],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 2_400_000,
        },
      },
      {
        // One environment as a newcomer's start leaves it, and beside each other a file that needs its slots and one that
        // doesn't: each environment costs as much as most of its tests.
        extends: true,
        test: {
          name: "local-started",
          // What half of its files load is the whole client of Kubernetes.
          isolate: false,
          include: ["test/local/started/*.test.ts", "test/local/slots/*.test.ts"],
          globalSetup: ["test/support/started-environment.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
      {
        // The same environment afterwards: how it is stopped, started again and removed.
        extends: true,
        test: {
          name: "local-ended",
          include: ["test/local/ended/*.test.ts"],
          globalSetup: ["test/support/started-environment.ts"],
          sequence: { groupOrder: 1 },
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
      {
        // Environments of other kinds than the one that everybody starts with.
        extends: true,
        test: {
          name: "local-variants",
          include: ["test/local/variants/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 2_400_000,
        },
      },
      {
        // Alerts in the time that they take, which is minutes.
        extends: true,
        test: {
          name: "local-alerts",
          include: ["test/local/alerts/*.test.ts"],
          globalSetup: ["test/support/environment-without-jobs.ts"],
          testTimeout: 1_200_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
