import { setFlagsFromString } from "node:v8";

// V8 lets dead objects fill as much again as the live ones before it looks for them. A page that proves a million rows
// and answers for a thousand volumes makes many that die at once, and looks sooner. Imported first, before there are any.
setFlagsFromString("--optimize-for-size");
setFlagsFromString("--heap-growing-percent=20");
