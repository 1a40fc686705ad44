"""An extraction worker in Python: the standard library and the command video-job, nothing else.

    VIDEO_URL=https://… python3 worker.py

It fetches a video as a job's source, writes what it found out about it beside it, and completes the job. Its exit
code tells an orchestrator what to do: 0 done, 3 no room here (give the job to another worker), 75 handed over.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request

REFUSED = 3
HANDED_OVER = 75


class Drained(Exception):
    """The node goes away, and Kubernetes has said so."""


def video_job(*arguments, stdin=None, text=None):
    """Runs one command of video-job. Its messages go to stderr as they are; its answer is returned as JSON says it."""
    answer = subprocess.run(
        ["video-job", *arguments, "--json"], stdin=stdin, input=text, stdout=subprocess.PIPE, check=True
    )
    return json.loads(answer.stdout) if answer.stdout.strip() else None


def drained(*_):
    raise Drained()


def extract(url):
    with urllib.request.urlopen(url) as source:
        length = source.headers.get("Content-Length")
        expected = ["--expected-bytes", length] if length else []
        # The lease is held for this process: should it be killed, the job is nobody's, and the sweep finds it.
        job = video_job("create", "--hold-for", str(os.getpid()), "--attribute", f"source={url}", *expected)
        os.environ["VIDEO_JOB_ID"] = job["jobId"]
        try:
            video_job("log", "extract.log", f"fetching {url}")
            # Through this process, because urllib may have read ahead of what the connection still has.
            writing = subprocess.Popen(
                ["video-job", "write", "source.mp4", *expected], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            )
            size = 0
            while chunk := source.read(1 << 20):
                writing.stdin.write(chunk)
                size += len(chunk)
            writing.stdin.close()
            if writing.wait() != 0:
                raise RuntimeError(f"source.mp4 couldn't be written: exit code {writing.returncode}")
            # Or past the client, as a program would that takes a path: complete() makes it durable and checksums it.
            with open(os.path.join(job["directory"], "facts.json"), "w", encoding="utf8") as facts:
                json.dump({"bytes": size}, facts)
            return video_job("complete")
        except Drained:
            return video_job("hand-over")
        except Exception as error:
            video_job("fail", f"{type(error).__name__}: {error}")
            raise


def main():
    signal.signal(signal.SIGTERM, drained)
    try:
        ended = extract(os.environ["VIDEO_URL"])
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    print(json.dumps({"event": "result", **ended}), flush=True)
    sys.exit(HANDED_OVER if ended["state"] == "handed-over" else 0)


if __name__ == "__main__":
    main()
