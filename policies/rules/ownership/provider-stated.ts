import type { ResourceRule } from "../../model";

export const providerStated: ResourceRule = {
  name: "provider-stated",
  subject: "ownership",
  description:
    "Every resource names its provider: a default one takes whatever cluster or account the shell happens to point at (pulumi-kubernetes#1643).",
  level: "mandatory",
  severity: "high",
  // The engine's own resources have none, and where there is no engine nobody tells.
  appliesTo: ({ type, provider }) =>
    provider !== undefined && /^[a-z0-9-]+:/.test(type) && !/^(?:pulumi|pulumi-nodejs):/.test(type),
  check: ({ provider }) =>
    provider === "" || /^default(?:_|$)/.test(provider!)
      ? ["it takes the default provider; make one and pass it in the options"]
      : [],
};
