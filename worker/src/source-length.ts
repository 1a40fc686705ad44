/** Whatever knows how long it is: a `fetch` response, Node's `IncomingMessage`, a `Stats`, a `Blob`, a `Buffer`. */
export type SizedSource =
  | { readonly headers: { get(name: string): string | null } }
  | { readonly headers: Readonly<Record<string, string | readonly string[] | undefined>> }
  | { readonly size: number | bigint }
  | { readonly byteLength: number };

/**
 * The source's length in bytes, for `expectedBytes`; undefined where it isn't known. A compressed answer's length isn't
 * that of what is read from it, and a source in chunks has none.
 */
export function expectedBytesOf(source: SizedSource): number | undefined {
  if ("byteLength" in source) return source.byteLength;
  if ("size" in source) return safe(Number(source.size));
  const header = (name: string): string | undefined => {
    const { headers } = source;
    if (typeof headers.get === "function")
      return (headers.get as (n: string) => string | null)(name) ?? undefined;
    const value = (headers as Readonly<Record<string, string | readonly string[] | undefined>>)[name];
    return typeof value === "string" ? value : undefined;
  };
  const encoding = header("content-encoding");
  if (encoding !== undefined && encoding !== "identity") return undefined;
  const length = header("content-length");
  return length !== undefined && /^\d{1,16}$/.test(length.trim()) ? safe(Number(length)) : undefined;
}

function safe(bytes: number): number | undefined {
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
}
