/**
 * What is slow to make and the same for every checkout lies here: built programs, unpacked packages.
 * `VIDEO_STORAGE_CACHE` moves it.
 */
export function cacheDirectory(): string;
