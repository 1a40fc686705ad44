const EXIT_CODES = `Exit codes
  0   done
  1   failed: the message says what and what to do
  2   called or configured wrongly; nothing was done
  3   refused: no room on the volume, or as many jobs as the stack allows: give it to another worker, or try later
  4   not possible for this job: its state, its tenant, its worker, or there is none such
  5   the catalogue, object storage or the scanner can't be reached: try again
  6   a scanner found something, or couldn't decide: the job goes nowhere
  75  run: the worker was drained, and the job handed over`;

const JOB = "  --job ID             default: VIDEO_JOB_ID, which run sets for its program";
const JSON_OPTION = "  --json               one JSON object on stdout; errors as one on stderr";
const CREATE = `  --expected-bytes N   the source's size, where it is known: without the room the job isn't begun
  --expected-size-of FILE   the same, of a file that is there
  --attribute KEY=VALUE     kept in the job's record, without secrets; repeatable
  --attributes FILE    the same, from a file with a JSON object
  --job-id ID          a job id that was given out; default: a new one`;

/** What the worker's command says of itself, by subcommand; "" is the whole. */
export const HELP: Readonly<Record<string, string>> = {
  "": `video-job: a job's directory, lease, files and states for workers in any language

  video-job run -- CMD         begin a job, run CMD while holding its lease, complete it when CMD ends with 0
  video-job create             begin a job whose lease is held for a process of yours
  video-job write NAME         a file, from stdin or FILE: whole and durable, or not there
  video-job log NAME [LINE]    a line of a log, or every line of stdin
  video-job complete           its work is done, its files are final
  video-job fail REASON        its work can't be done
  video-job stage              copy a completed job to object storage
  video-job hand-over          the worker is drained: leave the job to another one
  video-job resume --job ID    go on with a job that was handed over
  video-job fetch [NAME]       read a completed job, wherever it is, checked
  video-job uploaded           it was uploaded: the sweep may delete it
  video-job show               what is known of it

The shortest worker:

  video-job run --expected-bytes "$LENGTH" -- sh -c '
    curl -fsS "$URL" | video-job write source.mp4 --expected-bytes "$LENGTH"'

run exits when its program does, completes the job if that ended with 0 and fails it otherwise, and hands it over on
SIGTERM. Programs may also write files into $VIDEO_JOB_DIRECTORY by themselves: complete makes them durable.

In a pod of the stack nothing needs to be set. Elsewhere: VIDEO_STORAGE_CONTRACT, VIDEO_STORAGE_TENANT,
VIDEO_STORAGE_VOLUME, VIDEO_STORAGE_ROOT, VIDEO_STORAGE_CATALOGUE_CREDENTIALS, VIDEO_STORAGE_OBJECT_CREDENTIALS,
NODE_NAME, POD_NAME, POD_NAMESPACE.

video-job COMMAND --help says more.

${EXIT_CODES}
`,
  run: `video-job run [options] -- CMD [ARGUMENT…]

Begins a job and runs CMD with VIDEO_JOB_ID and VIDEO_JOB_DIRECTORY, holding the job's lease for as long as CMD runs.
When CMD ends and hasn't ended the job itself, the job is completed after exit code 0, and failed after any other.
Exits as CMD did (128 + N after signal N); with an exit code below when the job couldn't be begun or completed.

On SIGTERM, as a drained node sends it, CMD gets SIGTERM too; when it has ended, or after --drain-seconds, the job is
handed over to another worker, and run exits with 75. Should run itself be killed, the lease is gone with it.

${CREATE}
  --resume ID          instead of a new job, go on with one that was handed over
  --drain-seconds N    how long CMD may take to end on SIGTERM; default 10
${JSON_OPTION}

${EXIT_CODES}
`,
  create: `video-job create --hold-for PID [options]

Begins a job and prints its id. A small process of its own holds the job's lease until the job ends or the process PID
does, however that ends; nothing else keeps the job alive, so PID has to be that of your worker: $$ in a shell,
os.getpid() in Python. Prefer run where you can: it needs no second process.

  --hold-for PID       required
${CREATE}
${JSON_OPTION}

  export VIDEO_JOB_ID=$(video-job create --hold-for $$ --expected-bytes "$LENGTH")
  curl -fsS "$URL" | video-job write source.mp4 && video-job complete || video-job fail "no source"
`,
  write: `video-job write NAME [FILE] [options]

Writes a file of the job from stdin, or from FILE. When it exits with 0 the file is whole, on the disk, with its
checksum recorded; otherwise nothing of it is there. An earlier file of that name is replaced.

${JOB}
  --expected-bytes N   fewer or more are an error; default for FILE: its size
  --continuing NAME    a file of the job that this one begins with, as a job that was resumed has them: stdin is the rest
${JSON_OPTION}

Output: bytes, SHA-256 and name, as sha256sum has them.
`,
  log: `video-job log NAME [LINE…] [options]

Adds a line to logs/NAME, or every line of stdin when there is no LINE. What looks like a secret is redacted.

${JOB}
${JSON_OPTION}

  ffmpeg … 2>&1 | video-job log ffmpeg.log
`,
  complete: `video-job complete [options]

The job's files are final. When it exits with 0, that is on the disk. Files that programs wrote into the directory by
themselves are made durable and get their checksums first.

${JOB}
${JSON_OPTION}
`,
  fail: `video-job fail REASON [options]

The job's work can't be done. The reason is kept; what looks like a secret in it is redacted.

${JOB}
${JSON_OPTION}
`,
  stage: `video-job stage [options]

Copies a completed job to object storage, every file verified; where the stack has a scanner, only after that has
found nothing. The volume's files stay until the sweep removes them.

${JOB}
${JSON_OPTION}
`,
  "hand-over": `video-job hand-over [options]

For a worker that is told to end (SIGTERM): stages what the active job has, and leaves the job to another worker, which
goes on with it by resume. Call it in your handler of the signal, when nothing is written any more.

${JOB}
${JSON_OPTION}
`,
  resume: `video-job resume --job ID --hold-for PID [options]

Goes on with a job that was handed over, as a new job with its files, logs and attributes, and prints that one's id. A
file NAME.part is the beginning of one that wasn't finished: fetch the rest and write NAME --continuing NAME.part.

  --hold-for PID       as for create
  --expected-bytes N   what all of it will need; default: what the job before said
${JSON_OPTION}
`,
  fetch: `video-job fetch [NAME] [options]

Reads a completed job, from its volume or from object storage: one file to stdout, or all into a directory. Exit code 0
means that every byte is the one that was recorded; until then nothing that was read is certain.

${JOB}
  --to DIRECTORY       all files, or NAME, go there
${JSON_OPTION}
`,
  uploaded: `video-job uploaded [options]

The job was uploaded: from now on the sweep may delete it. For the upload worker, whose login may say so.

${JOB}
${JSON_OPTION}
`,
  show: `video-job show [options]

What the job's record on this volume and the catalogue say of it.

${JOB}
${JSON_OPTION}
`,
};
