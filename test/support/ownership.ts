import { lchownSync, lstatSync, readdirSync } from "node:fs";

/**
 * Gives what lies at a path, and everything below it, to a user, links themselves and not what they lead to. By calls and
 * not by chown(1): a process costs a hundred times as much, and a test of sweeps makes a hundred jobs.
 */
export function giveTo({ uid, gid }: { readonly uid: number; readonly gid: number }, path: string): void {
  lchownSync(path, uid, gid);
  if (lstatSync(path).isDirectory())
    for (const name of readdirSync(path)) giveTo({ uid, gid }, `${path}/${name}`);
}
