import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    expect: { requireAssertions: true },
    // Pulumi's runtime keeps module-global state: a process per file keeps one test's mocks out of another's.
    pool: "forks",
    testTimeout: 20_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: "fast", include: ["test/**/*.test.ts"], exclude: ["test/local/**", "test/policies/**"] },
      },
      {
        // One real environment serves all of these, so they take turns.
        extends: true,
        test: {
          name: "local",
          include: ["test/local/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 2_400_000,
        },
      },
    ],
  },
});
