const SECRET_SIGNATURE = ["4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"] as const;

/** Whether the runtime holds this value as a secret. */
export function isSecret(value: unknown): value is { value: unknown } {
  return (
    typeof value === "object" &&
    value !== null &&
    (value as never)[SECRET_SIGNATURE[0]] === SECRET_SIGNATURE[1]
  );
}

/** The value without the wrappers that mark secrets, at any depth. */
export function unwrapped<T>(value: T): T {
  if (isSecret(value)) return unwrapped(value.value) as T;
  if (Array.isArray(value)) return value.map(unwrapped) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, unwrapped(entry)])) as T;
}
