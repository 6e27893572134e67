"""One at a time, and never for ever."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys

import pytest

from towpath.backends.git import Repository, branches, hold_lock
from towpath.errors import RegistryError

HOLD = """
import sys, time
from pathlib import Path
from towpath.backends.git import Repository, branches, hold_lock
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


def test_a_lock_that_git_left_is_named_with_the_way_past_it(repository: Repository) -> None:
    """As a git does that was killed: also where a promotion is approved."""
    before = branches.branch_commit(repository, "main")
    assert before
    tree = repository.call("rev-parse", "main^{tree}")
    after = repository.call("commit-tree", tree, "-p", before, "-m", "new")
    lock = repository.common / "index.lock"
    lock.touch()
    with pytest.raises(RegistryError) as refused:
        branches.advance_branch(repository, "main", after)
    assert f"rm {shlex.quote(str(lock))}" in (refused.value.faults[0].hint or "")
    lock.unlink()
    branches.advance_branch(repository, "main", after)
