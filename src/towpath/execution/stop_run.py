"""Ends a run that goes on elsewhere: in another terminal, or a worker's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from towpath.errors import EngineError, Fault, UsageError
from towpath.execution import run_folders
from towpath.execution.run_process import is_of_run
from towpath.execution.run_record import RecordedRun

CancelRun: TypeAlias = Callable[[str], None]
"""Has an engine end one of its runs, by the id that it has there."""

_PATIENCE = 30.0  # seconds in which a run ends its steps and writes down that it ended
_LOOK = 0.1


def stop_run(runs: Path, word: str, cancel: CancelRun) -> RecordedRun:
    """End the run that ``word`` names, as its own Ctrl-C would; it is recorded as interrupted.

    ``cancel`` ends a deployed run, of which its engine must know.

    Raises:
        UsageError: where it has ended, or runs on another machine.
        EngineError: where it does not end.
    """
    run = run_folders.find_run(runs, word)
    if run.state.has_ended:
        raise UsageError(f"run {run.id} does not go on: it {run.state.in_words}")
    engine_run = run.origin.get("engine_run")
    if isinstance(engine_run, str):
        cancel(engine_run)
    else:
        _interrupt_process(run)
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        ended = run_folders.find_run(runs, run.id)
        if ended.state.has_ended:
            return ended
        time.sleep(_LOOK)
    what = f"run {run.id} was told to end, and goes on after {_PATIENCE:.0f} seconds"
    raise EngineError(Fault(what, hint=f"`towpath logs {run.id}` shows what it does"))


def _interrupt_process(run: RecordedRun) -> None:
    host, process = run.origin.get("host"), run.origin.get("pid")
    if host != os.uname().nodename or not isinstance(process, int):
        raise UsageError(f"run {run.id} goes on at {host}", hint="stop it there")
    if not is_of_run(process, run.started):
        raise UsageError(f"run {run.id} does not go on: its process is gone")
    os.kill(process, signal.SIGINT)
