import { mkdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { parse, stringify } from "yaml";

import { manifestsOf, withoutSecretValues } from "./manifests.js";
import type { KubernetesObject } from "./manifests.js";
import { renderProgram } from "./render-program.js";
import type { RenderOptions } from "./render-program.js";
import type { ConfigValues } from "./stack-files.js";

const USAGE = `usage: npm run render -- --stack NAME --out DIRECTORY [options]

Writes the Kubernetes objects of a stack as YAML, one file each, for review and GitOps.
Nothing is contacted. The values of Secrets are placeholders.

  --stack NAME          the stack, whose Pulumi.NAME.yaml is read
  --out DIRECTORY       where the files go: {namespace or _cluster}/{kind}-{name}.yaml
  --config FILE         more configuration, as YAML or JSON, keys without "video-storage:"
  --keep-secrets FILE   keeps generated values the same from run to run (mode 0600)
  --with-secrets        writes the values of Secrets in clear; keep those files to yourself
`;

if (process.argv.includes("--as-child")) {
  await renderForParent();
} else {
  await renderToDirectory();
}

async function renderForParent(): Promise<void> {
  // Pulumi notes for each promise where it was made, which takes a tenth of the time; what fails is told by its message.
  Error.stackTraceLimit = 0;
  try {
    const options = JSON.parse(await text(process.stdin)) as RenderOptions;
    writeAll(3, JSON.stringify(await renderProgram(options)));
    process.exit(0);
  } catch (error) {
    fail(error);
  }
}

async function renderToDirectory(): Promise<void> {
  try {
    const { values } = parseArgs({
      options: {
        stack: { type: "string" },
        out: { type: "string" },
        config: { type: "string" },
        "keep-secrets": { type: "string" },
        "with-secrets": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help || values.stack === undefined || values.out === undefined) {
      process.stderr.write(USAGE);
      process.exit(values.help ? 0 : 2);
    }
    const { resources } = await renderProgram({
      stack: values.stack,
      ...(values.config !== undefined && {
        config: parse(readFileSync(values.config, "utf8")) as ConfigValues,
      }),
      ...(values["keep-secrets"] !== undefined && { keepSecretsIn: values["keep-secrets"] }),
    });
    const objects = manifestsOf(resources).map(({ object }) => object);
    for (const object of objects)
      write(values.out, values["with-secrets"] ? object : withoutSecretValues(object));
    process.stdout.write(`${objects.length} objects of stack ${values.stack} written to ${values.out}\n`);
    process.exit(0);
  } catch (error) {
    fail(error);
  }
}

function write(directory: string, object: KubernetesObject): void {
  const folder = `${directory}/${object.metadata.namespace ?? "_cluster"}`;
  mkdirSync(folder, { recursive: true });
  const mode = object.kind === "Secret" ? 0o600 : 0o644;
  writeFileSync(`${folder}/${object.kind.toLowerCase()}-${object.metadata.name}.yaml`, stringify(object), {
    mode,
  });
}

/** A pipe takes what it has room for; the rest waits. */
function writeAll(descriptor: number, content: string): void {
  const bytes = Buffer.from(content);
  for (let written = 0; written < bytes.length;) written += writeSync(descriptor, bytes, written);
}

function fail(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
