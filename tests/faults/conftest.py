"""What every attack begins with: a home of its own, in which nothing of the machine's counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from own_home import MAIN, move_in


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    return move_in(tmp_path / "home", MAIN, monkeypatch)
