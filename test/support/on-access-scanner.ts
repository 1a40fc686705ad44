// A virus scanner that works on access, as clamonacc does: by fanotify the kernel asks it before anyone opens a file on
// one mount, and it takes its time, with the file open and locked. Says what it met, a line of JSON each. Its argument
// is the mount; ends with its stdin.
import { createHash } from "node:crypto";
import fs from "node:fs";
import koffi from "koffi";

const CLASS_CONTENT = 0x4;
const NON_BLOCKING = 0x2;
const MARK_ADD_MOUNT = 0x1 | 0x10;
const OPEN_PERMISSION = 0x10000;
const HERE = -100;
const ALLOW = 1;
const EXCLUSIVE_NON_BLOCKING = 2 | 4;
const DELAY_MILLISECONDS = 15;
const HOLD_MILLISECONDS = 150;

const library = koffi.load(null);
const init = library.func("int fanotify_init(uint flags, uint event_f_flags)");
const mark = library.func(
  "int fanotify_mark(int fd, uint flags, uint64_t mask, int dirfd, const char *path)",
);
const flock = library.func("int flock(int fd, int operation)");

const events = init(CLASS_CONTENT | NON_BLOCKING, fs.constants.O_RDONLY) as number;
if (events < 0 || mark(events, MARK_ADD_MOUNT, OPEN_PERMISSION, HERE, process.argv[2]!) !== 0) {
  console.log(JSON.stringify({ unavailable: koffi.errno() }));
  process.exit(0);
}
console.log(JSON.stringify({ ready: true }));
process.stdin.resume().once("end", () => process.exit(0));

const buffer = Buffer.alloc(4096);
setInterval(() => {
  let bytes = 0;
  try {
    bytes = fs.readSync(events, buffer, 0, buffer.length, null);
  } catch {
    return;
  }
  for (let at = 0; at < bytes; at += buffer.readUInt32LE(at)) meet(buffer.readInt32LE(at + 16));
}, 1);

function meet(fd: number): void {
  const locked = flock(fd, EXCLUSIVE_NON_BLOCKING) === 0;
  setTimeout(() => {
    const content = Buffer.alloc(fs.fstatSync(fd).size);
    fs.readSync(fd, content, 0, content.length, 0);
    const sha256 = createHash("sha256").update(content).digest("hex");
    console.log(JSON.stringify({ name: fs.readlinkSync(`/proc/self/fd/${fd}`), sha256, locked }));
    const answer = Buffer.alloc(8);
    answer.writeInt32LE(fd, 0);
    answer.writeUInt32LE(ALLOW, 4);
    fs.writeSync(events, answer);
    setTimeout(() => fs.closeSync(fd), HOLD_MILLISECONDS);
  }, DELAY_MILLISECONDS);
}
