import { randomBytes, randomInt } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";

import { contentHash } from "../components/lib/names.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/**
 * Stands in for the random provider: a value is generated once, and again only when the resource's inputs
 * change (its keepers among them). Kept in a file of mode 0600, or only in memory without one.
 */
export class GeneratedSecrets {
  private readonly values: Map<string, string>;
  private readonly file: string | undefined;

  constructor(file?: string) {
    this.file = file;
    this.values = new Map(Object.entries(file === undefined ? {} : readValues(file)));
  }

  /** The provider's outputs for a resource of a random type; undefined for other types. Throws for random types not known here. */
  stateOf(type: string, name: string, inputs: Record<string, unknown>): Record<string, unknown> | undefined {
    if (type === "random:index/randomPassword:RandomPassword") {
      const result = this.once(type, name, inputs, () => password(inputs.length as number));
      return { ...inputs, result };
    }
    if (type === "random:index/randomBytes:RandomBytes") {
      const hex = this.once(type, name, inputs, () => randomBytes(inputs.length as number).toString("hex"));
      return { ...inputs, hex, base64: Buffer.from(hex, "hex").toString("base64") };
    }
    if (type.startsWith("random:"))
      throw new Error(`${type} (${name}) can't be generated without the engine`);
    return undefined;
  }

  /** Writes what was generated, whole or not at all. */
  save(): void {
    if (this.file === undefined) return;
    const temporary = `${this.file}.partial`;
    const descriptor = openSync(temporary, "w", 0o600);
    try {
      const sorted = Object.fromEntries([...this.values].sort(([a], [b]) => (a < b ? -1 : 1)));
      writeSync(descriptor, `${JSON.stringify(sorted, undefined, 2)}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    chmodSync(temporary, 0o600);
    renameSync(temporary, this.file);
  }

  private once(type: string, name: string, inputs: unknown, generate: () => string): string {
    const key = `${type}::${name}::${contentHash(inputs)}`;
    const known = this.values.get(key);
    if (known !== undefined) return known;
    const value = generate();
    this.values.set(key, value);
    return value;
  }
}

function password(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");
}

function readValues(file: string): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    throw new Error(
      `${file} holds the generated secrets and is not JSON; restore it, or remove it to generate new ones`,
    );
  }
}
