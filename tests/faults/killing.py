"""The command line in processes that are killed, as by ``kill -9``, at a point that is chosen.

``python killing.py`` has one thread and everything imported, and forks a child for each command:
pytest's own process has more threads, and must not fork. A child dies

- after its nth call of Git that moves a ref: a stand-in for ``git`` on its PATH
  kills the process that called it; or
- at its nth step upon files, told by an audit hook.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILLED = -signal.SIGKILL
STEPS = ("os.rename", "os.remove", "os.mkdir", "os.link", "os.chmod", "shutil.copyfile")
#: Calls of Git that move a ref, here or there: objects that no ref names are nobody's state, and
#: a look at where the main branch is leaves all as it was.
SHIM = """#!/bin/sh
case " $* " in
  *" symbolic-ref -q "*) exec "$KILLING_GIT" "$@" ;;
  *" update-ref "*|*" push "*|*" fetch "*|*" merge "*|*" branch "*|*" symbolic-ref "*|\
  *" switch "*|*" commit "*|*" tag "*|*" reset "*|*" checkout "*)
    read -r n < "$KILLING_COUNT"; n=$((n + 1)); echo $n > "$KILLING_COUNT" ;;
  *) exec "$KILLING_GIT" "$@" ;;
esac
if [ $n != "$KILLING_DUE" ]; then exec "$KILLING_GIT" "$@"; fi
"$KILLING_GIT" "$@" > /dev/null 2>&1
kill -9 $PPID
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative for a signal), and what it printed."""

    code: int
    text: str


@dataclass(frozen=True)
class Commands:
    """The process that forks, as a test sees it."""

    process: subprocess.Popen[str]
    scratch: Path

    def _ask(self, **request: Any) -> int:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, folder: Path, *words: str, **environment: str) -> int:
        """Begin a command in a folder; its process."""
        log = self.scratch / "log.txt"
        log.unlink(missing_ok=True)
        return self._ask(start=words, folder=str(folder), env=environment, log=str(log))

    def wait(self, pid: int) -> int:
        """The exit code of a command, negative for a signal."""
        return self._ask(wait=pid)

    def run(self, folder: Path, *words: str, **environment: str) -> Ended:
        """A command to its end."""
        code = self.wait(self.start(folder, *words, **environment))
        return Ended(code, (self.scratch / "log.txt").read_text(encoding="utf-8"))

    def killed_by_git(self, due: int, folder: Path, *words: str) -> Ended:
        """A command killed after its nth call of Git that moves a ref."""
        stand_in = self.scratch / "bin" / "git"
        if not stand_in.exists():
            stand_in.parent.mkdir()
            stand_in.write_text(SHIM)
            stand_in.chmod(0o755)
        count = self.scratch / "count"
        count.write_text("0\n")
        real = str(shutil.which("git"))
        return self.run(
            folder, *words, PATH=f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}",
            KILLING_GIT=real, KILLING_COUNT=str(count), KILLING_DUE=str(due),
        )  # fmt: skip

    def killed_at_step(self, due: int, under: Path, folder: Path, *words: str) -> Ended:
        """A command killed before its nth step upon files that lie under a folder."""
        return self.run(folder, *words, KILLING_STEP=str(due), KILLING_UNDER=str(under))


@contextmanager
def forking(scratch: Path) -> Iterator[Commands]:
    """A process that forks commands; ended afterwards."""
    scratch.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Commands(process, scratch)
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(180)


def carry_out(request: dict[str, Any]) -> None:
    """A command in this very process, which then ends."""
    os.chdir(request["folder"])
    os.environ.update(request["env"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    if due := int(request["env"].get("KILLING_STEP", 0)):
        die_at(due, request["env"]["KILLING_UNDER"])
    from towpath.cli import main

    code = 99
    try:
        code = main._run_guarded(request["start"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die_at(due: int, under: str) -> None:
    """Kill this process at its nth step upon files under a folder."""
    passed = 0

    def hear(event: str, details: tuple[Any, ...]) -> None:
        nonlocal passed
        writes = event == "open" and isinstance(details[1], str) and details[1] not in ("r", "rb")
        writes = writes or (
            event == "open" and details[1] is None and bool(details[2] & os.O_CREAT)
        )
        here = any(isinstance(one, str) and one.startswith(under) for one in details)
        if here and (event in STEPS or writes):
            passed += 1
            if passed == due:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)


def serve() -> None:
    """Answer each line on stdin."""
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                carry_out(request)
        answers.write(f"{answer}\n")
        answers.flush()


def import_everything() -> None:
    """What commands import, once."""
    import dvc.repo  # noqa: F401
    import dvc_http  # noqa: F401

    import towpath.backends.dvc.byte_transfer  # noqa: F401


if __name__ == "__main__":
    import_everything()
    serve()
