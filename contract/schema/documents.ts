import { z } from "zod";
import { cleanupConfigSchema } from "../src/cleanup-config.js";
import { jobRecordSchema } from "../src/job-record.js";
import { stackContractSchema } from "../src/stack-contract.js";
import type { JsonSchema, SchemaPromise } from "./compatibility.js";

/** The documents that programs in any language may read, and what their readers may rely on. */
export interface ContractDocument {
  /** Below this folder. A new version is a new file, and the old one stays. */
  readonly file: string;
  readonly title: string;
  readonly schema: z.ZodType;
  readonly promise: SchemaPromise;
}

export const CONTRACT_DOCUMENTS: readonly ContractDocument[] = [
  {
    file: "stack-contract.v1.json",
    title:
      "What the stack promises to workers: its outputs, and contract.json of the ConfigMap video-storage-contract",
    schema: stackContractSchema,
    promise: { readers: "any release", documents: "rewritten" },
  },
  {
    file: "job-record.v1.json",
    title: "metadata.json in a job's directory",
    schema: jobRecordSchema,
    promise: { readers: "any release", documents: "kept" },
  },
  {
    file: "cleanup-config.v1.json",
    title: "The cleanup job's settings: cleanup.json of the ConfigMap cleanup-config",
    schema: cleanupConfigSchema,
    promise: { readers: "same release", documents: "rewritten" },
  },
];

/** JSON Schema 2020-12 of a document as it is written: what has a default may be left out. */
export function jsonSchemaOf({ schema, file, title }: ContractDocument): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
  return {
    $schema,
    $id: `urn:video-storage:${file.replace(/\.json$/, "").replace(".", ":")}`,
    title,
    ...rest,
  };
}
