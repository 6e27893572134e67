"""Real servers, each in a project of its own, and none left when a test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from towpath.backends.prefect.server import api_home, start_api


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """An empty project whose API is stopped afterwards."""
    root = tmp_path / "two words ä"
    root.mkdir()
    yield root
    start_api.stop_local_api(api_home.home_of_project(root))


@pytest.fixture
def processes(project: Path) -> Callable[[], list[psutil.Process]]:
    """Call it for every process of the project's API: keeper and server, while they live."""
    folder = str(api_home.home_of_project(project).folder)
    return lambda: [each for each in psutil.process_iter() if folder in command(each)]


def command(process: psutil.Process) -> str:
    """How a process was called; nothing where it is gone meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
