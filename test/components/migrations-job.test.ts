import { describe, expect, it } from "vitest";
import { buildMigrationsJob } from "../../components/lib/migrations-job.js";

const args = {
  ...{ environment: "test", namespace: "system", image: "catalogue@sha256:0", adminSecret: "a" },
  ...{ passwordsSecret: "p", loginsConfigMap: "l" },
};

describe("the migrations job", () => {
  const job = buildMigrationsJob({ ...args, tls: true, hasCa: true });
  const [container] = job.spec.template.spec.containers;

  it("fails at once, with its message, when a migration does; and tries again when Postgres is away", () => {
    expect(job.spec.podFailurePolicy.rules).toEqual([
      { action: "Ignore", onExitCodes: { containerName: container!.name, operator: "In", values: [3] } },
      { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
    ]);
    expect(job.spec.backoffLimit).toBe(0);
    expect(job.metadata.annotations).toEqual({ "pulumi.com/replaceUnready": "true" });
    // A podFailurePolicy needs it.
    expect(job.spec.template.spec.restartPolicy).toBe("Never");
    expect(container!.terminationMessagePolicy).toBe("FallbackToLogsOnError");
  });

  it("believes only the Postgres that was meant, where TLS is required", () => {
    const tail = (tls: boolean, hasCa: boolean) =>
      buildMigrationsJob({ ...args, tls, hasCa }).spec.template.spec.containers[0]!.args.slice(5);
    expect(tail(true, true)).toEqual(["--require-tls", "--ca-file", "/etc/catalogue/ca.crt"]);
    expect(tail(true, false)).toEqual(["--require-tls"]);
    expect(tail(false, false)).toEqual([]);
  });
});
