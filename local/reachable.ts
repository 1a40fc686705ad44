import { statSync } from "node:fs";
import { dirname } from "node:path";

const SEARCH_BY_OTHERS = 0o001;

/** Of a path and what it lies in, the directories that only their owner can enter; the outermost first. */
export function closedDirectories(path: string): string[] {
  const above = dirname(path) === path ? [] : closedDirectories(dirname(path));
  return (statSync(path).mode & SEARCH_BY_OTHERS) === 0 ? [...above, path] : above;
}

/**
 * Covers each directory, in this mount namespace, by one that everybody can enter and that has the same things in it. What
 * is made in it directly goes with the namespace.
 */
const OPEN = `
set -eu
while [ "$1" != -- ]; do
  kept=$(mktemp -d)
  mount --rbind "$1" "$kept"
  mount -t tmpfs -o mode=0755 opened "$1"
  for entry in "$kept"/* "$kept"/.[!.]* "$kept"/..?*; do
    place="$1/\${entry##*/}"
    if [ -L "$entry" ]; then cp -P "$entry" "$place"
    elif [ -d "$entry" ]; then mkdir "$place" && mount --rbind "$entry" "$place"
    elif [ -e "$entry" ]; then : > "$place" && mount --bind "$entry" "$place"
    fi
  done
  umount --lazy "$kept"
  rmdir "$kept"
  shift
done
shift
exec "$@"
`;

/**
 * The command, for root, so that programs which it runs as other users can enter these directories: in a mount namespace
 * of its own, since the modes of directories are their owner's business. A checkout in root's home is an example.
 */
export function withOpened(directories: readonly string[], command: readonly string[]): string[] {
  const unshare = ["unshare", "--mount", "--propagation", "private", "--"];
  return [...unshare, "sh", "-c", OPEN, "sh", ...directories, "--", ...command];
}
