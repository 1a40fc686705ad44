import * as pulumi from "@pulumi/pulumi";

import { contentHash } from "./names.js";

/**
 * A Job's name that changes with what the Job does. A Job is immutable, and one that has completed never
 * runs again; under a new name it does. `content` may hold outputs and secrets: all that is told of them is forty bits
 * of a hash over values that nobody can guess.
 */
export function contentNamed(name: string, content: readonly unknown[]): pulumi.Output<string> {
  return pulumi.unsecret(pulumi.output([...content]).apply((value) => `${name}-${contentHash(value)}`));
}

/** The same hash by itself, for what must change with what it doesn't hold. */
export function hashOf(content: readonly unknown[]): pulumi.Output<string> {
  return pulumi.unsecret(pulumi.output([...content]).apply((value) => contentHash(value)));
}
