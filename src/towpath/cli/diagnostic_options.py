"""What `-vv`, `--profile` and TOWPATH_LOG ask for: begun before the command, closed after it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from towpath import __version__, call_log, diagnostics
from towpath.cli.render import terminal
from towpath.diagnostics import IMPORTS, REST, VARIABLE, CallLog, Profile, WriteLine

START = "start"
_ROWS = {
    START: "start of Python",
    IMPORTS: "imports (modules)",
    "git": "Git",
    "http": "HTTP",
    "store": "stores",
    "process": "child processes",
    REST: "the rest",
}


def begin_diagnostics(is_shown: bool, is_profiled: bool) -> Callable[[], None]:
    """Log from now on where the environment or `-vv` (``is_shown``) asks for it; what is to be done
    at the end. Raises ``UsageError`` for a log that cannot be written.
    """
    destination = os.environ.get(VARIABLE, "")
    is_shown = is_shown or destination == diagnostics.STDERR
    writers: list[WriteLine] = []
    if destination not in ("", diagnostics.STDERR):
        writers.append(diagnostics.open_log(destination))
        # For children, which work in other folders and write to the same file.
        os.environ[VARIABLE] = diagnostics.absolute_destination(destination)
    if is_shown:
        writers.append(lambda line: terminal.echo(line, err=True))
    # What Python and the command line took until here is not seen; the processor's time tells it.
    profile = Profile({START: time.process_time()}) if is_profiled else None
    if writers:
        diagnostics.start_log(writers, shows_warnings=is_shown)
        diagnostics.log_command(__version__, sys.argv[1:])
    if profile:
        diagnostics.time_imports(profile)
    call_log.set_listener(CallLog(profile))
    return lambda: _show_profile(profile) if profile else None


def _show_profile(profile: Profile) -> None:
    whole = profile.close() + profile.seconds[START]
    rows = []
    for kind, name in _ROWS.items():
        seconds = profile.seconds.get(kind, 0.0)
        if seconds or kind == REST:
            share = f"{seconds / whole:.0%}" if whole else ""
            rows.append((name, str(profile.counts.get(kind, "")), f"{seconds:.2f}", share))
    rows.append(("all", "", f"{whole:.2f}", ""))
    heads = ("where the time went", "calls", "seconds", "of all")
    terminal.show_table(heads, rows, right=heads[1:], err=True)
