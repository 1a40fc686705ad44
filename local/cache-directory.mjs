import { homedir } from "node:os";
import { join } from "node:path";

/** Plain JavaScript, because the bootstrap asks before anything else is there. */
export function cacheDirectory() {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return process.env.VIDEO_STORAGE_CACHE || join(base, "video-storage");
}
