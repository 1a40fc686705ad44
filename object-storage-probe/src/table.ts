import {
  LIFECYCLE_RULES,
  OBJECT_STORAGE_CAPABILITIES,
} from "@video-storage/contract/object-storage-capabilities";
import type { ObjectStorageCapabilities } from "@video-storage/contract/object-storage-capabilities";

/** The report for people, a line each. */
export function formatCapabilities(found: ObjectStorageCapabilities): string {
  const width = Math.max(...[...OBJECT_STORAGE_CAPABILITIES, ...LIFECYCLE_RULES].map((name) => name.length));
  const line = (name: string, outcome: string, detail: string): string =>
    `  ${name.padEnd(width)}  ${outcome.padEnd(12)}  ${detail}`;
  return [
    `Bucket ${found.bucket} at ${found.endpoint ?? "AWS"}:`,
    ...OBJECT_STORAGE_CAPABILITIES.map((name) => {
      const { held, required, detail } = found.capabilities[name];
      return line(name, held ? "held" : required ? "MISSING" : "not held", detail);
    }),
    "Lifecycle rules:",
    ...LIFECYCLE_RULES.map((name) => line(name, found.lifecycle[name].outcome, found.lifecycle[name].detail)),
    "",
  ].join("\n");
}
