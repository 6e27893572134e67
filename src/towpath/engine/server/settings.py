"""What a local Prefect API is started with."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from towpath.engine.server.home import Home
from towpath.engine.server.state import Endpoint
from towpath.errors import UsageError

REST_SECONDS = 15 * 60.0

SERVER: Mapping[str, str] = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Prefect's pages call 127.0.0.1:4200 whatever their own port, unless told a path.
    "PREFECT_SERVER_UI_API_URL": "/api",
    # One commit for each event keeps SQLite busy: the API answers 503, clients sleep 2 s and more.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "25",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # Events are most of the database's growth, 20 kB a step; only Prefect's own pages show them.
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P2D",
    "DO_NOT_TRACK": "1",
    "PREFECT__SERVER_FINAL": "1",
}


SECRET = "PREFECT_SERVER_API_AUTH_STRING"


def server_environment(home: Home, endpoint: Endpoint) -> dict[str, str]:
    """The server's environment: the user's, with none of the user's own Prefect settings.

    The secret goes this way because command lines are for everybody to read, this is not.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    origins = ",".join(f"http://{name}:{endpoint.port}" for name in ("127.0.0.1", "localhost"))
    own = {
        "PREFECT_HOME": str(home.folder),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins,
        SECRET: endpoint.secret,
    }
    return {**kept, **SERVER, **own}


def rest() -> float:
    """How long an unused API lives, in seconds: `TOWPATH_REST` as `900`, `90s`, `15m` or `2h`."""
    said = os.environ.get("TOWPATH_REST", "").strip()
    if not said:
        return REST_SECONDS
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", said)
    if not match:
        raise UsageError(f"TOWPATH_REST={said!r} is no span of time", hint="say 90s, 15m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
