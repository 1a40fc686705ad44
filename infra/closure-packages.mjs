// Loads TypeScript and npm's package trees when Pulumi asks them something, and not with Pulumi: it needs them to write a
// function down, as for a Lambda of inline code, of which this project has none, and they are more than half of what it
// loads.
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

/** By what is loaded, who loads it. */
const LATE = new Map([
  ["typescript", "/@pulumi/pulumi/typescript-shim.js"],
  ["@npmcli/arborist", "/@pulumi/pulumi/runtime/closure/codePaths.js"],
]);
/** Ends the names of what stands for them, beside this; there are no such files. */
const STAND_IN = ".stand-in.cjs";

const files = new Map();
registerHooks({
  resolve(specifier, context, next) {
    const by = LATE.get(specifier);
    if (by === undefined || !context.parentURL?.endsWith(by)) return next(specifier, context);
    const url = new URL(`./${specifier.replaceAll("/", "-")}${STAND_IN}`, import.meta.url).href;
    files.set(url, fileURLToPath(next(specifier, context).url));
    return { url, shortCircuit: true };
  },
  load(url, context, next) {
    const file = files.get(url);
    if (file === undefined) return next(url, context);
    const source = `
      let loaded;
      module.exports = new Proxy({}, {
        get: (_, name) => name === "__esModule" || (loaded ??= require(${JSON.stringify(file)}))[name],
      });`;
    return { source, format: "commonjs", shortCircuit: true };
  },
});
