#!/bin/sh
# An extraction worker in shell: wget and the command video-job, nothing else.
#
#     VIDEO_URL=https://… sh worker.sh
#
# video-job run begins the job, holds its lease while the second half of this file runs, completes the job if that ends
# with 0, fails it otherwise, and hands it over when the node is drained (SIGTERM). Its exit code is this worker's: 3
# means that there was no room here, 75 that another worker goes on.
set -eu

if [ "${1-}" != extract ]; then
  exec video-job run --attribute "source=$VIDEO_URL" -- sh "$0" extract
fi

video-job log extract.log "fetching $VIDEO_URL"
# A pipe has the exit code of its last program: what wget didn't get must not become a whole file.
{ wget -q -O - "$VIDEO_URL" || echo failed >"/proc/self/fd/3"; } 3>"$VIDEO_JOB_DIRECTORY/wget-failed" |
  video-job write source.mp4
if [ -s "$VIDEO_JOB_DIRECTORY/wget-failed" ]; then
  rm "$VIDEO_JOB_DIRECTORY/wget-failed"
  video-job fail "the video couldn't be fetched"
  exit 1
fi
rm "$VIDEO_JOB_DIRECTORY/wget-failed"
# Past the client, as a program would that takes a path: complete makes it durable and records its checksum.
sha256sum "$VIDEO_JOB_DIRECTORY/source.mp4" | cut -d ' ' -f 1 >"$VIDEO_JOB_DIRECTORY/source.sha256"
echo "{\"event\":\"result\",\"jobId\":\"$VIDEO_JOB_ID\"}"
