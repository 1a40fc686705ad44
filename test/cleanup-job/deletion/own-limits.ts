import type { OwnLimits } from "../../../cleanup-job/src/deletion/threads.js";

/** For the caller's own thread, however slow the machine is. */
export const ALL_ITS_OWN: OwnLimits = { atOnce: Infinity, alone: Infinity, inAll: Infinity };
export const NOTHING_ITS_OWN: OwnLimits = { atOnce: 0, alone: 0, inAll: 0 };
