"""The command of a local work pool: ``python -m towpath.engine.deployed PROJECT``.

Stock Prefect executes a deployed run with ``python -m prefect.engine``, whose imports take a
second before it knows what to run. Two questions to the API tell that at once, and the steps'
own imports, which take longer still, go on beside Prefect's.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from towpath.engine import ahead
from towpath.engine.flow import build
from towpath.engine.server import worker
from towpath.errors import TowpathError
from towpath.workspace import Workspace


def main(root: Path) -> None:
    """Execute the run that Prefect's worker names in the environment."""
    with contextlib.suppress(TowpathError):  # the flow itself meets it, and can say so
        _begin(root)
    build.execute()


def _begin(root: Path) -> None:
    port = urlsplit(os.environ.get("PREFECT_API_URL", "")).port
    if port is None:
        return
    entrypoint = worker.entrypoint(port, os.environ[ahead.DEPLOYED])
    pipeline = Path(entrypoint.rpartition(":")[0]).parent.name
    workspace = Workspace(root)
    if pipeline in workspace.pipelines:
        ahead.begin(workspace, workspace.pipeline(pipeline))


if __name__ == "__main__":
    main(Path(sys.argv.pop()))  # what is left is as Prefect expects it
