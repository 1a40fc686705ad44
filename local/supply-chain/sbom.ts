import { createHash } from "node:crypto";

import type { BundledPackage, ImageContents } from "./bundled-packages.js";

/** The parts of CycloneDX 1.5 that are used here. */
export interface Sbom {
  readonly $schema: string;
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.5";
  /** Made of the content: the same bundle has the same bill. */
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
  readonly compositions: readonly { readonly aggregate: string; readonly assemblies: readonly string[] }[];
}

export interface Component {
  readonly type: "container" | "library" | "platform";
  readonly "bom-ref": string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly purl?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly (
    | { readonly license: { readonly id: string } }
    | { readonly expression: string }
  )[];
}

/** What an image is called and what lies below its bundle. */
export interface SbomContext {
  readonly version: string;
  /** As the image's container file names it. */
  readonly baseImage: string;
}

/**
 * The bill of materials of an image: its bundle whole, package by package, and its base by name alone, whose own bill is
 * the affair of who makes it. Has no date and no tool's version, so that it changes only when the image does.
 */
export function sbomOf({ image, packages }: ImageContents, { version, baseImage }: SbomContext): Sbom {
  const root: Component = {
    type: "container",
    "bom-ref": `image:${image}@${version}`,
    name: image,
    version,
    description: `Image of ${image}; what of its base image is in it isn't listed`,
  };
  const [baseName, baseTag = ""] = baseImage.split(":");
  const base: Component = {
    type: "platform",
    "bom-ref": `base:${baseImage}`,
    name: baseName!,
    version: baseTag,
    description: "The base image, unless another is given when the image is built",
  };
  const components = [base, ...packages.map(componentOf)];
  const refs = new Map(packages.map((one) => [one.path, refOf(one)]));
  const dependencies = [
    { ref: root["bom-ref"], dependsOn: components.map((component) => component["bom-ref"]).sort() },
    ...packages.map((one) => ({
      ref: refOf(one),
      dependsOn: one.dependencies.flatMap((name) => refs.get(resolved(one.path, name, refs)) ?? []).sort(),
    })),
  ];
  const compositions = [
    { aggregate: "complete", assemblies: packages.map(refOf) },
    { aggregate: "incomplete", assemblies: [root["bom-ref"], base["bom-ref"]] },
  ];
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: serialNumber([root, components]),
    version: 1,
    metadata: { component: root },
    components,
    dependencies,
    compositions,
  };
}

function componentOf(one: BundledPackage): Component {
  const [group, name] = one.name.startsWith("@") ? one.name.split("/") : [undefined, one.name];
  return {
    type: "library",
    "bom-ref": refOf(one),
    ...(group !== undefined && { group }),
    name: name!,
    version: one.version,
    // A package of this project is in no registry: a name there would be somebody else's.
    ...(one.integrity !== null && { purl: purlOf(one) }),
    ...(one.integrity !== null && { hashes: [hashOf(one.integrity)] }),
    ...(one.licence !== null && { licenses: [licenceOf(one.licence)] }),
  };
}

/** Two versions of one package may be in a bundle, and one version in two places. */
function refOf({ name, version, path }: BundledPackage): string {
  const nested = path.split("node_modules/").length > 2 ? ` (${path})` : "";
  return `${name}@${version}${nested}`;
}

function purlOf({ name, version }: BundledPackage): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** The lockfile has it as Subresource Integrity (RFC: base64), CycloneDX as hexadecimal. */
function hashOf(integrity: string): { alg: string; content: string } {
  const [algorithm, digest] = integrity.split("-") as [string, string];
  const alg = { sha512: "SHA-512", sha384: "SHA-384", sha256: "SHA-256", sha1: "SHA-1" }[algorithm];
  if (alg === undefined)
    throw new Error(`the lockfile has a hash by ${algorithm}, which CycloneDX has no name for`);
  return { alg, content: Buffer.from(digest, "base64").toString("hex") };
}

function licenceOf(licence: string) {
  return /^[\w.+-]+$/.test(licence) ? { license: { id: licence } } : { expression: licence };
}

/** Where Node.js finds a package from another's directory: nested below it, or further up. */
function resolved(from: string, name: string, known: ReadonlyMap<string, string>): string {
  for (let at = from; ; at = at.slice(0, at.lastIndexOf("/node_modules/"))) {
    const nested = `${at}/node_modules/${name}`;
    if (known.has(nested)) return nested;
    if (!at.includes("/node_modules/")) break;
  }
  // Workspaces are linked from the root by their names.
  return known.has(`node_modules/${name}`) ? `node_modules/${name}` : name.replace("@video-storage/", "");
}

/** A UUID (RFC 9562, version 8) of the content's hash. */
function serialNumber(content: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify(content)).digest();
  hash[6] = (hash[6]! & 0x0f) | 0x80;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)];
  return `urn:uuid:${parts.join("-")}`;
}
