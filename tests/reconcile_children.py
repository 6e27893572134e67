"""A process that forks children for these tests, which may be killed.

It has one thread and everything imported: pytest's own process has more, and must not fork.
``python reconcile_children.py`` reads a JSON document a line, ``{"start": name, ...}`` (answered
by a pid) or ``{"wait": pid}`` (by the exit code, negative for a signal).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from reconcile_project import Project
from towpath.delivery import reconcile
from towpath.delivery.reconcile import lease


def kill_at(root: str, stage: str, step: str) -> int:
    """Reconcile, and be killed as by `kill -9` before a step."""

    def listen(_stage: str, _model: str, name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return int(Project(Path(root)).apply(stage, listener=listen).exit_code)


def apply(root: str, stage: str) -> int:
    """Reconcile, and wait for whoever else does."""
    project = Project(Path(root))
    options = replace(project.options(), patience=30.0)
    return int(reconcile.reconcile_stage(project.workspace, stage, options).exit_code)


def hold(root: str, stage: str, seconds: float) -> int:
    """Hold a stage's lease for a time; for ever and a kill, where that is negative."""
    with lease.hold_stage_lease(Project(Path(root)).store(stage)):
        if seconds < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(seconds)
    return 0


@dataclass(frozen=True)
class Children:
    """The process that forks, as a test sees it."""

    process: subprocess.Popen[str]

    def start(self, work: Any, **given: Any) -> int:
        """Start one of the functions above in a process of its own; its pid."""
        return self._ask({"start": work.__name__, "given": given})

    def wait(self, pid: int) -> int:
        """How it ended: its exit code, or the signal's number below zero."""
        return self._ask({"wait": pid})

    def run(self, work: Any, **given: Any) -> int:
        """Start and wait."""
        return self.wait(self.start(work, **given))

    def _ask(self, said: dict[str, Any]) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def running() -> Iterator[Children]:
    """The process, until the end."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Children(process)
        assert process.stdin
        process.stdin.close()


def main() -> None:
    """Fork and wait as asked, until nobody asks any more."""
    for line in sys.stdin:
        said = json.loads(line)
        if "wait" in said:
            print(os.waitstatus_to_exitcode(os.waitpid(said["wait"], 0)[1]), flush=True)
            continue
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = globals()[said["start"]](**said["given"])
            finally:
                os._exit(code)
        print(child, flush=True)


if __name__ == "__main__":
    main()
