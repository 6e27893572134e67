"""Servers that say nothing, and hooks that say no: neither is a hang, nor another's fault."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from towpath.backends.git import Repository, git_command, remotes
from towpath.errors import RegistryError

Git = Callable[..., str]


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that lets callers in and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is long enough for a test."""
    monkeypatch.setattr(git_command, "SILENCE", 1.0)


@pytest.mark.usefixtures("hasty")
def test_a_silent_server_is_an_error(repository: Repository, git: Git, silent: int) -> None:
    git(repository.root, "remote", "add", "origin", f"git://127.0.0.1:{silent}/x")
    for call in (
        lambda: remotes.fetch_refs(repository, "origin", "refs/tags/*:refs/tags/*"),
        lambda: remotes.list_remote_refs(repository, "origin"),
    ):
        with pytest.raises(RegistryError, match="cannot be reached: no answer for 1 seconds"):
            call()


@pytest.mark.usefixtures("hasty")
def test_what_a_silent_call_started_is_ended(
    repository: Repository, git: Git, tmp_path: Path
) -> None:
    ssh = tmp_path / "silent-ssh"
    ssh.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\nexec sleep 600\n")
    ssh.chmod(0o755)
    git(repository.root, "config", "core.sshCommand", f"'{ssh}'")
    git(repository.root, "config", "ssh.variant", "simple")
    git(repository.root, "remote", "add", "origin", "forge.example:x.git")
    with pytest.raises(RegistryError, match="no answer for 1 seconds"):
        remotes.list_remote_refs(repository, "origin")
    time.sleep(0.2)
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", (tmp_path / "pid").read_text().strip()],
        capture_output=True,
        text=True,
    )
    assert state.stdout.strip()[:1] in ("", "Z")


@pytest.mark.usefixtures("hasty")
def test_a_call_that_goes_on_speaking_is_not_ended() -> None:
    words = "import sys, time\nfor _ in range(8): time.sleep(0.3); print('x', flush=True)"
    done = git_command._run_listening([sys.executable, "-c", words], dict(os.environ), 2.0)
    assert (done.returncode, done.stdout) == (0, b"x\n" * 8)


def test_an_interruption_ends_the_call(tmp_path: Path) -> None:
    words = f"""
import os
from towpath.backends.git import git_command
call = ["sh", "-c", "echo $$ > '{tmp_path}/pid'; exec sleep 600"]
git_command._run_listening(call, dict(os.environ), 60)
"""
    process = subprocess.Popen([sys.executable, "-c", words], stderr=subprocess.DEVNULL)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.05)
    time.sleep(0.5)  # the child speaks before its parent knows that it has begun
    process.send_signal(signal.SIGINT)
    process.wait(180)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("own", ["", "environment", "settings"])
def test_ssh_is_told_to_be_patient_for_so_long(
    repository: Repository, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    """Unless the user says how ssh is to be called: that is left as it is."""
    said = tmp_path / "said"
    for name in ("ssh", "mine"):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\necho \"{name} $@\" >> '{said}'\nexit 255\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name in ("GIT_SSH", "GIT_SSH_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    if own == "environment":
        monkeypatch.setenv("GIT_SSH_COMMAND", "mine -v")
    if own == "settings":
        git(repository.root, "config", "core.sshCommand", "mine -v")
    git(repository.root, "remote", "add", "origin", "git@forge.example:x.git")
    with pytest.raises(RegistryError, match="cannot be reached"):
        remotes.list_remote_refs(repository, "origin")
    called = said.read_text()
    assert ("ConnectTimeout=30" in called, "ServerAliveInterval=15" in called) == (not own,) * 2
    assert called.splitlines()[-1].startswith("mine -v" if own else "ssh -o")


@pytest.mark.parametrize("stream", ["", " >&2"])
@pytest.mark.usefixtures("origin")
def test_a_hook_here_that_says_no_is_told_in_its_own_words(
    repository: Repository, stream: str
) -> None:
    hook = repository.common / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho 'tests fail, no push'{stream}\nexit 1\n")
    hook.chmod(0o755)
    head = repository.head() or ""
    for push in (
        lambda: remotes.push_new_refs(repository, "origin", {"refs/tags/one": head}),
        lambda: remotes.push_branch(repository, "origin", "work", head, None),
    ):
        with pytest.raises(RegistryError, match=r"was refused here.*: tests fail, no push"):
            push()
    assert remotes.list_remote_refs(repository, "origin", "refs/tags/one") == {}
