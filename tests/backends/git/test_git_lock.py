"""One at a time, and never for ever."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from towpath.backends.git import Repository, hold_lock
from towpath.errors import RegistryError

HOLD = """
import sys, time
from pathlib import Path
from towpath.backends.git import Repository, hold_lock
with hold_lock(Repository.open(Path(sys.argv[1])), "test"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_holder_leaves_no_lock(repository: Repository) -> None:
    call = [sys.executable, "-c", HOLD, str(repository.root)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(RegistryError, match="another towpath has held"),
            hold_lock(repository, "test", patience=0.1),
        ):
            raise AssertionError("two hold the lock")
        holder.send_signal(signal.SIGKILL)
    with hold_lock(repository, "test", patience=5):
        pass


def test_a_folder_that_cannot_be_written_is_named(repository: Repository) -> None:
    (repository.common / "towpath").write_text("in the way")
    with pytest.raises(RegistryError, match="cannot be written"), hold_lock(repository, "test"):
        pass
