"""What a step printed, as a page shows it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.credentials import hide_credentials

if TYPE_CHECKING:
    from pathlib import Path

MOST_LOG = 256 << 10  # bytes of a log that a page shows: the rest is a link away
_COLOUR = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class StepLogText:
    """The end of a step's log; ``skipped`` bytes stand before it."""

    text: str
    skipped: int
    size: int


def read_log_end(path: Path) -> StepLogText | None:
    """The end of a log, decoded, without the colours of a terminal; None where there is none."""
    if path.is_symlink() or not path.is_file():  # a step may have put anything there
        return None
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_LOG))
            content = file.read(MOST_LOG)
    except OSError:
        return None
    if size > MOST_LOG:
        content = content.partition(b"\n")[2] or content
    text = _COLOUR.sub(b"", content).decode("utf-8", "replace").replace("\r\n", "\n")
    return StepLogText(hide_credentials(text), size - len(content), size)
