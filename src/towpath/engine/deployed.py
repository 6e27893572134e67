"""The command of a local work pool: ``python -m towpath.engine.deployed PROJECT SOCKET``.

Stock Prefect executes a deployed run with ``python -m prefect.engine``, whose imports take a second
or two. Here a process that has them done is asked first, see ``forking``; and two questions to the
API tell which steps' modules to import meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from towpath.engine import asking


def main(root: Path, server: Path) -> int:
    """Execute the run that Prefect's worker names in the environment."""
    code = asking.ask(server, root)
    if code is None:
        execute(root)
        return 0
    if code < 0:  # who started this process looks at how it ends
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def execute(root: Path) -> None:
    """Execute the run in this process; it may end in SystemExit."""
    from towpath.engine.flow import build
    from towpath.errors import TowpathError

    with contextlib.suppress(TowpathError):  # the flow itself meets it, and can say so
        _begin(root)
    build.execute()


def _begin(root: Path) -> None:
    from urllib.parse import urlsplit

    from towpath.engine import ahead
    from towpath.engine.server import configured, worker
    from towpath.engine.server.state import Endpoint
    from towpath.workspace import Workspace

    port = urlsplit(os.environ.get("PREFECT_API_URL", "")).port
    if port is None:
        return
    # Of the worker, which has spoken to this API just now, and ends with it.
    endpoint = Endpoint(port, os.environ.get(configured.AUTH, ""))
    entrypoint = worker.entrypoint(endpoint, os.environ[ahead.DEPLOYED])
    pipeline = Path(entrypoint.rpartition(":")[0]).parent.name
    workspace = Workspace(root)
    if pipeline in workspace.pipelines:
        ahead.begin(workspace, workspace.pipeline(pipeline))


if __name__ == "__main__":
    folder, socket = (Path(argument) for argument in sys.argv[1:])
    sys.exit(main(folder, socket))
