"""Whether any ref has changed, without calling Git: what is known of refs holds as long as not."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from towpath.backends.git.repository import Repository

_SETTLED = 0.1  # seconds after which a second change cannot bear the same time as the first
_FILES = ("packed-refs", "HEAD", "config", "shallow", "FETCH_HEAD")


def read_ref_state(repository: Repository) -> tuple[object, ...] | None:
    """The times of all that Git writes when a ref is made, moved or removed; None while the last
    change is so young that the next might look the same."""
    # Git writes a ref beside its place and renames it there: the folder's time tells of each.
    paths = [repository.common / name for name in _FILES]
    paths += (Path(folder) for folder, _, _ in os.walk(repository.common / "refs"))
    paths += (repository.common / "reftable").glob("*")
    state = tuple((str(path), *_time_and_size(path)) for path in paths)
    newest = max(moment for _, moment, _ in state)
    return None if newest > (time.time() - _SETTLED) * 1e9 else state


def _time_and_size(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size
