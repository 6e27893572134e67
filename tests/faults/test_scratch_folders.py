"""What is made beside its place: its owner's alone, gone at the end, and swept after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from towpath import scratch
from towpath.backends.git import remotes
from towpath.storage import folder as folders
from towpath.storage.folder import Folder

HELD = """
import os, signal, sys
from pathlib import Path
from towpath.scratch import folder_beside
with folder_beside(Path(sys.argv[1])) as made:
    (made / "half").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _killed(target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HELD, str(target)])
    assert done.returncode == -signal.SIGKILL


def test_a_folder_beside_is_its_owners_and_goes(tmp_path: Path) -> None:
    tmp_path = tmp_path / "here"
    tmp_path.mkdir()
    with scratch.folder_beside(tmp_path / "target") as made:
        assert made.stat().st_mode & 0o777 == 0o700
        assert made.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    tmp_path = tmp_path / "here"
    tmp_path.mkdir()
    target = tmp_path / "clone.git"
    _killed(target)
    assert len(list(tmp_path.iterdir())) == 1
    remotes.begin_clone(target, "https://example.org/registry.git")
    assert [path.name for path in tmp_path.iterdir()] == ["clone.git"]


def test_a_shared_store_sweeps_by_age_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of another machine cannot be seen from here: what it writes now stays."""
    store = Folder(tmp_path, "a folder")
    (tmp_path / "towpath").mkdir()
    other = tmp_path / "towpath" / f".main.json.0a1b2c3d{scratch.SUFFIX}"
    other.write_text("half")
    named = scratch.scratch_beside(tmp_path / "towpath" / "main.json", shared=True)
    assert str(other.name).count(".") == named.name.count("."), "no process is named"
    folders._sweep_folder.cache_clear()
    assert store.write("towpath/main.json", b"{}", None)
    assert other.exists()
    monkeypatch.setattr(scratch, "_STALE", -1.0)
    time.sleep(0.01)
    folders._sweep_folder.cache_clear()
    assert store.write("towpath/lease.json", b"{}", None)
    assert not other.exists()
    assert store.names("towpath") == ["lease.json", "main.json"]
