import * as real from "node:fs/promises";
import { point } from "./points.js";

export * from "node:fs/promises";

export const mkdir: typeof real.mkdir = ((...args: Parameters<typeof real.mkdir>) => {
  point();
  return real.mkdir(...args);
}) as typeof real.mkdir;

export const rename: typeof real.rename = (...args) => {
  point();
  return real.rename(...args);
};

export const unlink: typeof real.unlink = (...args) => {
  point();
  return real.unlink(...args);
};
