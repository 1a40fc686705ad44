import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

import { parseAllDocuments } from "yaml";

import { entries, objects } from "./model";
import type { ResourceView } from "./model";

/** Manifests that can't be read; the message names each file and what is wrong with it. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}

/**
 * The Kubernetes objects in files and folders, at any depth: `.yaml`, `.yml` and `.json`, several documents in
 * a file and lists included. Throws {@link ManifestError} with every file that can't be read; nothing is
 * passed over in silence.
 */
export function readManifests(paths: readonly string[]): ResourceView[] {
  const problems: string[] = [];
  const views = paths.flatMap((path) => filesIn(path, problems)).flatMap((file) => objectsIn(file, problems));
  if (problems.length > 0) throw new ManifestError(problems.join("\n"));
  return views;
}

function filesIn(path: string, problems: string[]): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(?:ya?ml|json)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  } catch (error) {
    problems.push(`${path}: ${(error as Error).message}`);
    return [];
  }
}

function objectsIn(file: string, problems: string[]): ResourceView[] {
  return parseAllDocuments(readFileSync(file, "utf8")).flatMap((document, index) => {
    const [error] = document.errors;
    if (error) {
      problems.push(`${file}: ${error.message.split("\n")[0]}`);
      return [];
    }
    const value = document.toJS() as unknown;
    if (value === null || value === undefined) return [];
    const found = viewsOf(value, file);
    if (found.length === 0 && !isEmptyList(value)) {
      problems.push(
        `${file}: document ${index + 1} has no apiVersion and kind, so it is no Kubernetes object`,
      );
    }
    return found;
  });
}

function isEmptyList(value: unknown): boolean {
  return /List$/.test(String((value as { kind?: unknown }).kind));
}

/** A Kubernetes object as the rules see it; the objects in it, for a list. */
export function viewsOf(value: unknown, where = "manifest"): ResourceView[] {
  const props = Object.fromEntries(entries(value));
  const { apiVersion, kind } = props;
  if (typeof apiVersion !== "string" || typeof kind !== "string") return [];
  if (kind.endsWith("List") && Array.isArray(props["items"])) {
    return objects(props["items"]).flatMap((item) => viewsOf(item, where));
  }
  const metadata = Object.fromEntries(entries(props["metadata"]));
  const name = String(metadata["name"] ?? metadata["generateName"] ?? "");
  const group = apiVersion.includes("/") ? apiVersion : `core/${apiVersion}`;
  return [
    {
      urn: `${where}#${[kind, metadata["namespace"], name].filter(Boolean).join("/")}`,
      type: `kubernetes:${group}:${kind}`,
      name,
      props,
    },
  ];
}
