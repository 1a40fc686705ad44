const UNITS: Readonly<Record<string, bigint>> = {
  "": 1n,
  k: 10n ** 3n,
  M: 10n ** 6n,
  G: 10n ** 9n,
  T: 10n ** 12n,
  Ki: 2n ** 10n,
  Mi: 2n ** 20n,
  Gi: 2n ** 30n,
  Ti: 2n ** 40n,
};
const PATTERN = /^(\d{1,15})(k|M|G|T|Ki|Mi|Gi|Ti)?$/;

/** A size that cannot be read. */
export class InvalidSizeError extends Error {
  override readonly name = "InvalidSizeError";
}

/**
 * Bytes in a Kubernetes quantity of storage such as `512Mi` or `100G`. Whole numbers only: a fraction of
 * a byte or an exponent is more often a slip than a wish. Throws {@link InvalidSizeError}.
 */
export function parseSize(text: string): bigint {
  const match = PATTERN.exec(text);
  if (!match) {
    throw new InvalidSizeError(
      `size ${JSON.stringify(text)} is not valid: use a whole number with Ki, Mi, Gi, Ti (or k, M, G, T), for example "512Mi"`,
    );
  }
  return BigInt(match[1]!) * UNITS[match[2] ?? ""]!;
}

/**
 * The one form in which Kubernetes prints a size back, so that a declared and a read value compare equal
 * (pulumi-kubernetes#2760): the largest binary unit that divides it.
 */
export function formatSize(bytes: bigint): string {
  if (bytes < 0n) throw new InvalidSizeError(`${bytes} is not a size: use 0 or more bytes`);
  const unit = ["Ti", "Gi", "Mi", "Ki"].find((u) => bytes > 0n && bytes % UNITS[u]! === 0n) ?? "";
  return `${bytes / UNITS[unit]!}${unit}`;
}
