// Lets Node.js run this project's TypeScript as it is: `node --import ./infra/typescript-files.mjs PROGRAM.ts`. Node.js
// itself leaves the types out (`erasableSyntaxOnly` sees to it that this is enough), in half the time that a compiler
// takes to load; what it lacks is that imports name files as the compiler would write them.
import { registerHooks } from "node:module";

// What runs so is ours, and most of it loads Pulumi.
import "./closure-packages.mjs";

registerHooks({
  resolve(specifier, context, next) {
    if (!/^\.\.?\/.*\.js$/.test(specifier) || !context.parentURL?.endsWith(".ts"))
      return next(specifier, context);
    try {
      return next(`${specifier.slice(0, -3)}.ts`, context);
    } catch (error) {
      if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
      return next(specifier, context);
    }
  },
});
