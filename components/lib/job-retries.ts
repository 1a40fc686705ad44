/**
 * A Job that ends at the first failure, and tries again, ever more seldom until its deadline, when its container ends
 * with one of these codes or its pod is evicted. Not by the action FailJob: Pulumi's provider knows that a Job has
 * failed by two reasons only, `BackoffLimitExceeded` and `DeadlineExceeded`, and would wait ten minutes for one that
 * a policy failed (pulumi-kubernetes, checker/job/check.go).
 */
export function triedAgainOnly(containerName: string, exitCodes: readonly number[]) {
  return {
    backoffLimit: 0,
    podFailurePolicy: {
      rules: [
        { action: "Ignore", onExitCodes: { containerName, operator: "In", values: [...exitCodes] } },
        { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
      ],
    },
  };
}
