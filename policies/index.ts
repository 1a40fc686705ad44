import { PolicyPack } from "@pulumi/policy";

import { enginePolicies } from "./engine";
import { RULES } from "./pack";

// Making a pack starts a server, so nothing but the engine may import this file.
new PolicyPack("video-storage", { policies: enginePolicies(RULES, () => new Date()) });
