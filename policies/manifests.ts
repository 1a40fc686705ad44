import { readFileSync, readdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";

import { parseAllDocuments } from "yaml";

import { entries } from "./model";
import type { ResourceView } from "./model";

/** Manifests that can't be read; the message names each file and what is wrong with it. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}

/**
 * The Kubernetes objects in files and folders, at any depth: `.yaml`, `.yml` and `.json`, several documents in
 * a file and lists included. Throws {@link ManifestError} with every file that can't be read and every folder
 * that has none; nothing is passed over in silence.
 */
export function readManifests(paths: readonly string[]): ResourceView[] {
  const problems: string[] = [];
  const orProblem = <T>(path: string, read: (path: string) => T[]): T[] => {
    try {
      return read(path);
    } catch (error) {
      problems.push(`${path}: ${(error as Error).message.split("\n")[0]}`);
      return [];
    }
  };
  const files = paths.flatMap((path) => orProblem(path, filesAt));
  const views = files.flatMap((file) => orProblem(file, objectsIn));
  if (problems.length > 0) throw new ManifestError(problems.join("\n"));
  return views;
}

function filesAt(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const files = filesIn(path, new Set([realpathSync(path)]));
  if (files.length === 0) {
    throw new Error("it holds no manifest; name a folder with files that end in .yaml, .yml or .json");
  }
  return files;
}

/** Links are followed, as in a mounted ConfigMap; what several lead to, or leads to itself, is read once. */
function filesIn(folder: string, seen: Set<string>): string[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name);
      const isManifest = /\.(?:ya?ml|json)$/.test(name);
      const found = statSync(path, { throwIfNoEntry: false });
      // A link that leads nowhere is told of by whoever reads it.
      if (!found) return isManifest ? [path] : [];
      if (!found.isDirectory() && !(found.isFile() && isManifest)) return [];
      const real = realpathSync(path);
      if (seen.has(real)) return [];
      seen.add(real);
      return found.isDirectory() ? filesIn(path, seen) : [path];
    });
}

function objectsIn(file: string): ResourceView[] {
  return parseAllDocuments(readFileSync(file, "utf8")).flatMap((document, index) => {
    const [error] = document.errors;
    if (error) throw error;
    const value = document.toJS() as unknown;
    return value === null || value === undefined ? [] : viewsOf(value, file, `document ${index + 1}`);
  });
}

/** A Kubernetes object as the rules see it; the objects in it, for a list. */
function viewsOf(value: unknown, file: string, where: string): ResourceView[] {
  const props = Object.fromEntries(entries(value));
  const { apiVersion, kind, items } = props;
  if (typeof apiVersion !== "string" || typeof kind !== "string") {
    throw new Error(
      `${where} has no apiVersion and kind, so it is no Kubernetes object; write both, or leave it out`,
    );
  }
  if (kind.endsWith("List") && (Array.isArray(items) || items === null)) {
    // The API lists objects without the version and kind, which it says of the list alone.
    const common = kind === "List" ? {} : { apiVersion, kind: kind.replace(/List$/, "") };
    return (items ?? []).flatMap((item: unknown, index) =>
      viewsOf({ ...common, ...Object.fromEntries(entries(item)) }, file, `item ${index + 1} of ${where}`),
    );
  }
  const metadata = Object.fromEntries(entries(props["metadata"]));
  const name = String(metadata["name"] ?? metadata["generateName"] ?? "");
  const group = apiVersion.includes("/") ? apiVersion : `core/${apiVersion}`;
  return [
    {
      urn: `${file}#${[kind, metadata["namespace"], name].filter(Boolean).join("/")}`,
      type: `kubernetes:${group}:${kind}`,
      name,
      props,
    },
  ];
}
