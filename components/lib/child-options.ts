import * as pulumi from "@pulumi/pulumi";

/**
 * Options of a component's child: its parent, and what its component was told to wait for. The engine
 * itself hands a component's `dependsOn` to no child, so without this a claim could precede its namespace.
 */
export function childOptions(
  parent: pulumi.ComponentResource,
  componentOptions: pulumi.ComponentResourceOptions,
  own: pulumi.CustomResourceOptions = {},
): pulumi.CustomResourceOptions {
  const { dependsOn } = componentOptions;
  return pulumi.mergeOptions({ parent, ...(dependsOn !== undefined && { dependsOn }) }, own);
}
