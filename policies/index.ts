import { PolicyPack } from "@pulumi/policy";
import type { Policies } from "@pulumi/policy";

import { RULES } from "./pack";

// Making a pack starts a server, so nothing but the engine may import this file.
const policies: Policies = RULES.map((rule) => {
  const { name, description, level: enforcementLevel, severity } = rule;
  const about = { name, description, enforcementLevel, severity };
  return "check" in rule
    ? { ...about, validateResource: (args, report) => rule.check(args).forEach((message) => report(message)) }
    : {
        ...about,
        validateStack: (args, report) =>
          rule.checkStack(args.resources).forEach(({ urn, message }) => report(message, urn)),
      };
});

new PolicyPack("video-storage", { policies });
