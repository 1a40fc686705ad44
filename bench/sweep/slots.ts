import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { SLOT_MOUNT_OPTIONS } from "@video-storage/contract/slot-filesystem";

/** A filesystem of its own for one turn. */
export interface Slot {
  readonly directory: string;
  /** Takes it away. */
  done(): void;
}

/** A new ext4 in a file, mounted as the slots of local volumes are. Needs root. */
export function newSlotIn(parent: string, bytes: number, inodes: number): Slot {
  const directory = fs.mkdtempSync(`${parent}/slot-`);
  const file = `${directory}.ext4`;
  fs.writeFileSync(file, "");
  fs.truncateSync(file, bytes);
  execFileSync("mkfs.ext4", ["-q", "-F", "-m", "0", "-N", String(inodes), file]);
  execFileSync("mount", ["-o", `loop,${SLOT_MOUNT_OPTIONS.join()}`, file, directory]);
  fs.rmdirSync(`${directory}/lost+found`);
  return {
    directory,
    done: () => {
      execFileSync("umount", [directory]);
      fs.rmdirSync(directory);
      fs.unlinkSync(file);
    },
  };
}
