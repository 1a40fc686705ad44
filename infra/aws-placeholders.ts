/**
 * What AWS would name its own things, for a program that is rendered and not run: without it what refers to them
 * would be missing from what is looked at. Undefined for types that have no such name.
 */
export function awsPlaceholders(
  type: string,
  name: string,
  inputs: Record<string, unknown>,
): Record<string, unknown> | undefined {
  switch (type) {
    case "aws:kms/key:Key":
      return {
        ...inputs,
        keyId: name,
        arn: `arn:aws:kms:${String(inputs["region"])}:000000000000:key/${name}`,
      };
    case "aws:iam/role:Role":
      return { ...inputs, arn: `arn:aws:iam::000000000000:role/${String(inputs["name"])}` };
    default:
      return undefined;
  }
}
