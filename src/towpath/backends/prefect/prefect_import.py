"""The import of Prefect, which takes a second: quiet, and where it is needed."""

from __future__ import annotations

import gc
import os

#: Prefect reads these when it is imported: its console lines would cross ours, and it may
#: not report on its users. What the user has set stays.
QUIET = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


def import_prefect() -> None:
    """Import Prefect, which takes a second, where something else can be done meanwhile."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import logging

    import prefect.main  # noqa: F401

    # Prefect gives the root a handler that says nothing below CRITICAL, and with any handler there
    # Python itself says no warning of ours any more.
    own = logging.getLogger("towpath")
    if not own.handlers and logging.lastResort:
        own.addHandler(logging.lastResort)
    gc.freeze()  # what is imported stays; the command line began without a collector
    gc.enable()
