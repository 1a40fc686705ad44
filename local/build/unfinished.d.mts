/** Where something is made that is then put in its place by one rename; named by the process that makes it. */
export function unfinished(place: string): string;
/** Removes what processes that were killed left unfinished in a directory. */
export function removeUnfinished(parent: string): Promise<void>;
