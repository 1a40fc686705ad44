import { setFlagsFromString } from "node:v8";

// V8 lets short-lived objects fill tens of MiB before it looks for those that are dead: 20 MiB less, measured, on a
// program that waits for the disk and the database most of its time. Imported first, before there are many.
setFlagsFromString("--optimize-for-size");
