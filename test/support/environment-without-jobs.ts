import { startForAll } from "./running-environment.js";

/** One environment without jobs, whose slots are the tests'. */
export default async function setup(): Promise<() => Promise<void>> {
  return (await startForAll("shared", ["--no-jobs"])).end;
}
