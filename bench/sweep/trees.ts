import { execFileSync } from "node:child_process";
import * as fs from "node:fs";

const SMALL = Buffer.alloc(200, "x");

/**
 * What makes a tree of many small files, and returns its name: from an archive that lies in a directory of its own and is
 * made at once, since one file after another takes several times as long.
 */
export function smallFilesFrom(
  archives: string,
  directories: number,
  filesInEach: number,
): (directory: string) => string[] {
  const tree = `${archives}/tree`;
  fs.mkdirSync(tree);
  for (let i = 0; i < directories; i++) {
    fs.mkdirSync(`${tree}/${i}`);
    for (let j = 0; j < filesInEach; j++) fs.writeFileSync(`${tree}/${i}/frame-${j}.jpg`, SMALL);
  }
  const archive = `${archives}/tree.tar`;
  execFileSync("tar", ["--create", "--file", archive, "--directory", archives, "tree"]);
  execFileSync("rm", ["-r", tree]);
  return (directory) => {
    execFileSync("tar", ["--extract", "--file", archive, "--directory", directory]);
    return [`${directory}/tree`];
  };
}

/** Jobs as a worker leaves them: a source, two renditions, a record and a log; their names. */
export function makeVideoJobs(directory: string, jobs: number, sourceBytes: number): string[] {
  return Array.from({ length: jobs }, (_, i) => {
    const job = `${directory}/job-${i}`;
    fs.mkdirSync(`${job}/logs`, { recursive: true });
    for (const [name, bytes] of [
      ["source.mp4", sourceBytes],
      ["1080p.mp4", sourceBytes / 2],
      ["480p.mp4", sourceBytes / 8],
    ] as const) {
      allocate(`${job}/${name}`, bytes);
    }
    fs.writeFileSync(`${job}/metadata.json`, SMALL);
    fs.writeFileSync(`${job}/logs/extraction.log`, SMALL);
    return job;
  });
}

/** Its blocks are given to the file, and needn't be written for that. */
function allocate(file: string, bytes: number): void {
  execFileSync("fallocate", ["--length", String(bytes), file]);
}
