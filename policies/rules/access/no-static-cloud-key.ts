import type { ResourceRule } from "../../model";

const TYPES = ["aws:iam/accessKey:AccessKey", "aws:iam/user:User"];

export const noStaticCloudKey: ResourceRule = {
  name: "no-static-cloud-key",
  subject: "access",
  description:
    "Pods take on roles and get keys that end within hours; a key that never ends is found one day.",
  level: "mandatory",
  severity: "critical",
  appliesTo: ({ type }) => type.startsWith("aws:iam/"),
  check: ({ type }) =>
    TYPES.includes(type)
      ? ["it is a user or a key without an end; use a role with IRSA or Pod Identity"]
      : [],
};
