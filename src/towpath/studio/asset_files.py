"""The files that pages need beside themselves, each known by its digest."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources
from pathlib import Path

ASSETS = Path(str(resources.files("towpath.studio").joinpath("assets")))


def asset_digest(name: str) -> str:
    """Twelve letters that stand for what a file holds; "" where there is no such file."""
    path = ASSETS / name
    try:
        return _digest_at(path, path.stat().st_mtime_ns)
    except OSError:
        return ""


@functools.lru_cache(maxsize=64)
def _digest_at(path: Path, _: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
