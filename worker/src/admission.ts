import fs from "node:fs/promises";
import { AdmissionRefusedError } from "./errors.js";

/** Throws {@link AdmissionRefusedError} when the volume lacks room for the job and the reserve. All in bytes. */
export async function admit(root: string, expectedBytes: number, reserveBytes: number): Promise<void> {
  const { bavail, bsize } = await fs.statfs(root, { bigint: true });
  requireRoom(BigInt(expectedBytes), BigInt(reserveBytes), bavail * bsize);
}

export function requireRoom(neededBytes: bigint, reserveBytes: bigint, availableBytes: bigint): void {
  if (neededBytes + reserveBytes > availableBytes) {
    throw new AdmissionRefusedError(neededBytes, reserveBytes, availableBytes);
  }
}
