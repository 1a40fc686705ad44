/** Removes all of a kind but the newest: checkouts that share the cache don't take each other's away. */
export function keepNewest(parent: string, kind: RegExp, count: number): Promise<void>;
