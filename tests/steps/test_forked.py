"""A process forked from this one, as its parent sees it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import atexit, sys
from towpath.steps.forked import Forked

def work():
    atexit.register(print, "tidied up")
    {work}

atexit.register(print, "the parent ends")
forked = Forked.begin(work)
print("ended with", forked.wait(10))
"""


def said(work: str) -> tuple[list[str], str]:
    """What a program prints that forks, in a process of one thread."""
    program = PROGRAM.format(work=work)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(
    ("work", "code", "words"),
    [
        ("pass", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('no')", 1, "no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
    ],
)
def test_it_ends_as_python_does(work: str, code: int, words: str) -> None:
    lines, errors = said(work)
    assert lines == ["tidied up", f"ended with {code}", "the parent ends"]
    assert errors.endswith(words)
    assert bool(errors) == bool(words)


def test_a_signal_is_told_as_one() -> None:
    lines, _ = said("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert lines == [f"ended with {-signal.SIGKILL}", "the parent ends"]


def test_waiting_has_an_end_and_killing_too() -> None:
    program = (
        "import subprocess, time\n"
        "from towpath.steps.forked import Forked\n"
        "forked = Forked.begin(lambda: time.sleep(60))\n"
        "try:\n    forked.wait(0.05)\n"
        "except subprocess.TimeoutExpired:\n    print('waited')\n"
        "print(forked.poll())\n"
        "forked.kill()\n"
        "print(forked.wait())\n"
        "forked.kill()\n"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["waited", "None", str(-signal.SIGKILL)], done.stderr
    assert time.monotonic() - begun < 30
