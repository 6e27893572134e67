"""How a process that was started ended, in words; and that all below it ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from towpath.sandbox import process_tree


@pytest.mark.parametrize(
    ("code", "words", "hint"),
    [
        (0, "ended with 0", None),
        (3, "ended with 3", None),
        (128, "ended with 128", None),
        (-9, "was killed by SIGKILL", "perhaps the machine ran out of memory"),
        (137, "was killed by SIGKILL", "perhaps the machine ran out of memory"),
        (-11, "was killed by SIGSEGV", "compiled code crashed: the log shows where"),
        (-15, "was killed by SIGTERM", None),
        (255, "ended with 255", None),
    ],
)
def test_an_exit_is_told_in_words(code: int, words: str, hint: str | None) -> None:
    assert (process_tree.describe_exit(code), process_tree.explain_exit(code)) == (words, hint)


def test_a_module_has_the_descriptors_that_it_is_given_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "listing.py").write_text(
        "import os, sys\nprint(os.getsid(0) == os.getpid(), *sorted(map(int, sys.argv[1:])))\n"
        "for number in map(int, sys.argv[1:]):\n"
        "    try:\n        os.fstat(number)\n        print('open')\n"
        "    except OSError:\n        print('closed')\n"
    )
    passed, kept = os.pipe()
    try:
        words = [str(passed), str(kept)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        process = process_tree.start_module(
            "listing", words, [passed], output=subprocess.PIPE, environment=environment
        )
        lines = process.communicate()[0].decode().splitlines()
    finally:
        os.close(passed)
        os.close(kept)
    assert lines[0].startswith("True")
    assert lines[1:] == ["open", "closed"]


def test_what_left_its_group_is_killed_with_its_tree() -> None:
    text = (
        "import subprocess, sys, time\n"
        "far = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "print(subprocess.Popen(far, start_new_session=True).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    leader = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, start_new_session=True
    )
    assert leader.stdout
    far = int(leader.stdout.readline())
    process_tree.kill_tree(leader.pid)
    assert leader.wait(180) == -9
    deadline = time.monotonic() + 180
    while psutil.pid_exists(far) and psutil.Process(far).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    leader.stdout.close()
