import type { StackRule } from "../../model";
import { at, is, nameOf } from "../../model";

export const claimNotAwaited: StackRule = {
  name: "claim-not-awaited",
  subject: "volumes",
  description:
    "A claim that waits for its first consumer is not waited for: the engine would stand still until its time-out (pulumi-kubernetes#895).",
  level: "mandatory",
  severity: "medium",
  subjectsOf: (stack) =>
    // Of a manifest nobody waits for anything.
    stack.ofKind("PersistentVolumeClaim").filter(({ protect }) => protect !== undefined),
  checkStack(stack) {
    const late = new Set(
      stack
        .ofKind("StorageClass")
        .filter(({ props }) => props["volumeBindingMode"] === "WaitForFirstConsumer")
        .map(nameOf),
    );
    return stack
      .ofKind("PersistentVolumeClaim")
      .filter(({ protect }) => protect !== undefined)
      .filter(({ props }) => late.has(at(props, "spec", "storageClassName") as string))
      .filter(({ props }) => !is(at(props, "metadata", "annotations", "pulumi.com/skipAwait"), "true"))
      .map(({ urn }) => ({
        urn,
        message: 'the engine waits for the claim to be bound; annotate it with pulumi.com/skipAwait: "true"',
      }));
  },
};
