"""The command line in a job: a program that takes a hundredth of a second, and asks for a fork.

``python -I -S job_commands.py ADDRESS WORDS`` is started by a job as its ``towpath``. It hands on
its folder, its environment and the words, writes what comes back, and ends with the same code.
The command is forked by whatever forks those of the test itself (``tests/command_line.py``), with
the job's folder and environment; the job's Python it does not see.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path


def answer_jobs() -> str:
    """The address at which this process answers, until it ends."""
    home = Path(os.environ["TOWPATH_HOME"]).parent
    address = f"{tempfile.mkdtemp(dir=home, prefix='jobs')}/address"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    threading.Thread(target=_accept_calls, args=[listening], daemon=True).start()
    return address


def _accept_calls(listening: socket.socket) -> None:
    while True:  # the jobs of a matrix run at once
        job, _ = listening.accept()
        threading.Thread(target=_answer_call, args=[job], daemon=True).start()


def _answer_call(job: socket.socket) -> None:
    from command_line import call_towpath_in

    with job, job.makefile("r") as asked:
        call = json.loads(asked.readline())
        done = call_towpath_in(call["environment"], Path(call["folder"]), *call["words"])
        job.sendall(json.dumps([done.stdout, done.stderr, done.returncode]).encode() + b"\n")


def _call(address: str, *words: str) -> int:
    """Be the command as the job sees it."""
    asked = {"words": words, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as answering:
        answering.connect(address)
        answering.sendall(json.dumps(asked).encode() + b"\n")
        out, err, code = json.loads(answering.makefile().readline())
    sys.stdout.write(out)
    sys.stderr.write(err)
    return int(code)


if __name__ == "__main__":
    sys.exit(_call(*sys.argv[1:]))
