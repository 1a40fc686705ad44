import { spawn } from "node:child_process";
import { once } from "node:events";
import { unpackDebianPackages } from "../../local/build/debian-packages.js";

/** What `promtool check metrics` has against a scrape; empty when it has nothing. */
export async function problemsOfMetrics(text: string): Promise<string> {
  const promtool = spawn(await (await unpackDebianPackages()).find("promtool"), ["check", "metrics"]);
  let output = "";
  for (const stream of [promtool.stdout, promtool.stderr]) {
    stream.on("data", (data: Buffer) => (output += data.toString()));
  }
  promtool.stdin.end(text);
  const [code] = (await once(promtool, "close")) as [number];
  return code === 0 && output === "" ? "" : `exit code ${code}\n${output}`;
}
