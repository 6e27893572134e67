"""The logging of a step's process: shown as it is, and the step's own to set up.

Without a word of the step's, all from INFO on goes to its log. That is done by Python's handler of
last resort, so that the root logger has none, and ``logging.basicConfig`` does what it does in a
plain script: with a handler of ours in its place it would do nothing, and say nothing of that.
"""

from __future__ import annotations

import functools
import logging
import sys
from typing import Any

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_original = logging.basicConfig


def start_step_logging() -> None:
    """Begin anew for a step."""
    root = logging.getLogger()
    for handler in list(root.handlers):  # as a package may have left them that was imported before
        root.removeHandler(handler)
        handler.close()
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(logging.Formatter(_FORMAT, "%H:%M:%S"))
    shown.addFilter(_is_shown)
    logging.lastResort = shown
    root.setLevel(logging.INFO)
    logging.basicConfig = _basic_config


def _is_shown(record: logging.LogRecord) -> bool:
    """Whether a script would show it too: a library that keeps its records from the root logger
    (``propagate = False``) has its warnings shown, and no more."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger and logger.parent and logger.propagate:
        logger = logger.parent
    return record.levelno >= logging.WARNING or logger is logging.getLogger()


@functools.wraps(_original)
def _basic_config(**asked: Any) -> None:
    """What a step calls as ``logging.basicConfig``: the same, from the level that a script has.

    ``logging.info`` and its like call it too where nothing is set up, which is no wish of the
    step's: then all stays as it is shown anyhow.
    """
    root = logging.getLogger()
    if sys._getframe(1).f_globals.get("__name__") == logging.__name__:
        return
    if root.level == logging.INFO and (not root.handlers or asked.get("force")):
        root.setLevel(logging.WARNING)
    _original(**asked)
