"""Whether the process of a run goes on: its number may be another process's by now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from towpath.config.artifact import Json

_CLOCK = 2.0  # seconds between the start of a process as the kernel and as a record tells it
_STEPPED = 600.0  # seconds by which a clock may have been set right while a run goes on


def process_lives(origin: Mapping[str, Json], started: str) -> bool:
    """Whether the process of a run that began at ``started`` (ISO 8601) may still be at work."""
    # Of another host's process nothing is known here: a shared folder may show its run.
    pid = origin.get("pid")
    if not isinstance(pid, int) or origin.get("host") != os.uname().nodename:
        return True
    if not 0 < pid < 1 << 31:  # no process has such a number: a signal would go to a group
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and alive
        pass
    return is_of_run(pid, started, _STEPPED)


def is_of_run(process: int, started: str, tolerance: float = _CLOCK) -> bool:
    """Whether a process was there when the run began, give or take some seconds, and is none that
    was given its number afterwards."""
    import psutil

    try:
        created: float = psutil.Process(process).create_time()
        return created <= datetime.fromisoformat(started).timestamp() + tolerance
    except (psutil.Error, ValueError):
        return False
