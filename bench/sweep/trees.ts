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

/**
 * Jobs as a worker leaves them: a source, two renditions, a record and a log; their names. They are really written: of
 * a file that was, its pages in memory are freed too, and it lies in as many extents as the filesystem makes.
 */
export function makeVideoJobs(directory: string, jobs: number, sourceBytes: number): string[] {
  return Array.from({ length: jobs }, (_, i) => {
    const job = `${directory}/job-${i}`;
    fs.mkdirSync(`${job}/logs`, { recursive: true });
    for (const [name, bytes] of [
      ["source.mp4", sourceBytes],
      ["1080p.mp4", sourceBytes / 2],
      ["480p.mp4", sourceBytes / 8],
    ] as const) {
      writeLarge(`${job}/${name}`, bytes);
    }
    fs.writeFileSync(`${job}/metadata.json`, SMALL);
    fs.writeFileSync(`${job}/logs/extraction.log`, SMALL);
    return job;
  });
}

const PIECE = Buffer.alloc(1024 * 1024, "v");

function writeLarge(file: string, bytes: number): void {
  const fd = fs.openSync(file, "wx");
  for (let at = 0; at < bytes; at += PIECE.length)
    fs.writeSync(fd, PIECE, 0, Math.min(PIECE.length, bytes - at));
  fs.closeSync(fd);
}
