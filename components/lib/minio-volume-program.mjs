// Runs before the MinIO server, as text: sees that what lies on the volume is encrypted with the key that the
// server has. MinIO itself starts with any key, calls itself ready, and only its log says that it can decrypt
// nothing. Ends with 1 and the reason where the objects are another key's and somebody has to decide.
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

const { DIRECTORY, OWNER, KEY_ID, GUARDED } = process.env;
// MinIO takes directories for buckets, and no other file for anything.
const RECORD = ".video-storage-key.json";
// A filesystem's own.
const NOT_OURS = ["lost+found", RECORD, `${RECORD}.partial`];

function say(level, message) {
  console.log(JSON.stringify({ event: "object-storage-volume", level, message }));
}

function refuse(why) {
  say(
    "error",
    `${why}; nothing was touched. Set objectStorageKey to the key that the objects are encrypted with, or, to give ` +
      "them up, empty the volume's directory on its node",
  );
  process.exit(1);
}

function readRecord() {
  try {
    return JSON.parse(readFileSync(join(DIRECTORY, RECORD), "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    refuse(`${RECORD} on the volume can't be read: ${error.message}`);
  }
}

function writeRecord(record) {
  const partial = join(DIRECTORY, `${RECORD}.partial`);
  const descriptor = openSync(partial, "w", 0o640);
  writeSync(descriptor, `${JSON.stringify(record)}\n`);
  fsyncSync(descriptor);
  closeSync(descriptor);
  renameSync(partial, join(DIRECTORY, RECORD));
}

const found = readdirSync(DIRECTORY).filter((name) => !NOT_OURS.includes(name));
const record = readRecord();
const own = { version: 1, owner: OWNER, key: KEY_ID, guarded: GUARDED === "true" };

if (record === undefined && found.length > 0) {
  say("warning", "the volume has objects and doesn't say with which key they are encrypted; left as it is");
} else if (record === undefined || record.key === KEY_ID) {
  writeRecord(own);
  say("info", `the key is ${KEY_ID}`);
} else if (record.owner === OWNER && record.guarded === false) {
  // A predecessor of the same name, whose data was not to be guarded, was destroyed, and its key with it.
  for (const name of found) rmSync(join(DIRECTORY, name), { recursive: true });
  writeRecord(own);
  say("warning", `emptied of what was encrypted with key ${record.key}, which an unguarded stack took along`);
} else {
  refuse(
    `the volume has objects of ${record.owner}, encrypted with key ${record.key}, and ${OWNER} has key ${KEY_ID}`,
  );
}
