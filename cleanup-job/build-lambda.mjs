// Bundles the Lambda function: `node cleanup-job/build-lambda.mjs [--out DIR]` leaves DIR/lambda.mjs with its handler,
// the files that it loads, and koffi with its native library. The directory is what CleanupLambda takes as its code.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { bundle } from "../local/images/bundle.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { out } = parseArgs({
  options: { out: { type: "string", default: join(here, "dist-lambda") } },
}).values;

await bundle({
  ...{ entry: join(here, "src", "lambda.ts"), directory: out, name: "lambda", locks: true },
  threads: { "deletion-thread": join(here, "src", "deletion", "thread-main.ts") },
});
