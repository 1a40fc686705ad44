import { rm } from "node:fs/promises";

import { destroyEnvironment, stopEnvironment } from "./environment/environment.js";
import { workAlone } from "./exclusive.js";
import { cacheDirectory, stateDirectory } from "./paths.js";
import { step } from "./progress.js";

/** Ends what start started. */
export async function stop({ environment }: { environment: string }): Promise<void> {
  await workAlone(stateDirectory(environment));
  const ran = await step("Stopping the environment", () => stopEnvironment(environment));
  console.log(ran ? "  Its data stays; npm start goes on with it." : "  Nothing was running.");
}

/** Stops, and removes every trace. */
export async function destroy(options: { environment: string; cache?: boolean }): Promise<void> {
  await workAlone(stateDirectory(options.environment));
  const was = await step("Removing the environment", () => destroyEnvironment(options.environment));
  if (options.cache) await rm(cacheDirectory(), { recursive: true, force: true });
  console.log(was ? "  Nothing of it is left." : "  There was none.");
  if (!options.cache)
    console.log(`  Built programs stay in ${cacheDirectory()}; npm run destroy -- --cache removes them.`);
}
