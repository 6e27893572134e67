"""Prefect's worker, which ends with the API that it takes runs from.

``python -P -m towpath.backends.prefect.server.worker_process FOLDER KEEPER WORD...`` is
``prefect WORD...``.
FOLDER is the home of the API, by which the worker is found again; KEEPER the process that keeps a
local one, 0 for an API of the user's own.

A worker executes what its API says. Once the keeper is gone, the port is free for everybody on the
machine, and who takes it could give the worker commands.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import select
import signal
import sys
import threading
import time

_LOOK = 0.2  # seconds between two looks, where the system does not tell of an end


def follow_keeper(keeper: int) -> None:
    """End this process, and what it has started, as soon as another is gone."""
    import psutil

    _wait_for_end(keeper)
    for child in psutil.Process().children(recursive=True):
        try:
            child.terminate()
        except psutil.NoSuchProcess:
            continue
    os.kill(os.getpid(), signal.SIGKILL)  # asked to end, it would go on to ask the API for runs


def _wait_for_end(pid: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(ProcessLookupError):
            select.select([os.pidfd_open(pid)], [], [])
        return
    import psutil

    while psutil.pid_exists(pid):
        time.sleep(_LOOK)


def run_worker() -> None:
    """Be the worker."""
    keeper = int(sys.argv[2])
    if keeper:
        threading.Thread(target=follow_keeper, args=(keeper,), daemon=True).start()
    sys.argv = ["prefect", *sys.argv[3:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run_worker()
