"""A person's home without a past."""

from __future__ import annotations

from pathlib import Path

import pytest

from own_home import IDENTITY, move_in


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home whose owner Git knows; nothing of the machine's settings reaches a test."""
    return move_in(tmp_path / "home", IDENTITY, monkeypatch)
