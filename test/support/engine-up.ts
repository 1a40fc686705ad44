import { text } from "node:stream/consumers";

import { up } from "../../infra/engine.js";
import type { EngineOptions } from "../../infra/engine.js";

// `pulumi up` in a process of its own, for a test that kills it. Options as JSON on standard input.
const options = JSON.parse(await text(process.stdin)) as EngineOptions;
await up({ ...options, onOutput: (line) => process.stdout.write(line) });
