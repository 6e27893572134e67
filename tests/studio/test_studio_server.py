"""`towpath studio` as a process: what others on the machine see of it, and how it ends."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from towpath.execution.run_record import Recorder, new_folder

# Writes down the words that it is begun with, as everybody on the machine sees them.
BROWSER = """#!/bin/sh
echo 'xdg-open: 882: www-browser: not found' | tee /dev/stderr
printf '%s\\n' "$@" > "$SEEN.part"
stat -c %a "${1#file://}" >> "$SEEN.part"
cat "${1#file://}" >> "$SEEN.part"
mv "$SEEN.part" "$SEEN"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "small"
    root.mkdir()
    (root / "towpath.yaml").write_text("name: small\n")
    return root


@contextmanager
def begin_studio(root: Path, *words: str, **variables: str) -> Iterator[tuple[str, int]]:
    """Studio's address and process, which is ended by SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "towpath", "-C", str(root), "studio", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables},
    )  # fmt: skip
    try:
        assert process.stdout
        yield process.stdout.readline().strip(), process.pid
        begun = time.monotonic()
        process.terminate()
        _, complaints = process.communicate(timeout=20)
        assert time.monotonic() - begun < 2
        assert "Traceback" not in complaints
        assert "www-browser" not in complaints
    finally:
        process.kill()
        process.wait()


def test_the_token_is_in_no_list_of_processes_and_two_live_side_by_side(
    project: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("xdg-open", "open"):
        (tmp_path / "bin" / name).write_text(BROWSER)
        (tmp_path / "bin" / name).chmod(0o755)
    seen = tmp_path / "seen"
    search = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with begin_studio(project, PATH=search, SEEN=str(seen)) as (address, process):
        token = address.rpartition("token=")[2]
        assert len(token) >= 32
        assert token not in Path(f"/proc/{process}/cmdline").read_text()
        while not seen.exists():
            time.sleep(0.05)
        words, mode, *page = seen.read_text().splitlines()
        assert token not in words
        assert mode == "600"
        assert address in "\n".join(page)
        opened = Path(words.removeprefix("file://"))
        with begin_studio(project, "--no-open") as (other, _), httpx.Client() as browser:
            for shown in (address, other):  # the second does not sign out the first
                assert browser.get(shown).status_code == 303
            for shown in (address, other):
                assert browser.get(shown.partition("?")[0]).status_code == 200
    assert not opened.exists()


def test_it_ends_while_streams_are_open_and_the_project_is_gone(project: Path) -> None:
    folder = new_folder(project / ".towpath" / "runs")
    record = Recorder(folder)  # holds its lock, as a run does that goes on
    record("started", run=folder.name, pipeline="p", asked={}, params={}, inputs={}, sources={},
           tried=[], origin={}, steps={"a": "processing"})  # fmt: skip
    with begin_studio(project, "--no-open") as (address, _), httpx.Client() as browser:
        browser.get(address)
        home = address.partition("?")[0]
        with browser.stream("GET", f"{home}runs/{folder.name}/events") as stream:
            events = stream.iter_text()
            assert re.match(r"id: \d+\n", next(events))
            record("step", step="a", state="running")
            assert re.match(r"id: \d+\n", next(events))
            begun = time.monotonic()
            record.close()
            project.rename(project.with_name("away"))
            assert "event: ended" in next(events)
            assert time.monotonic() - begun < 1
        answer = browser.get(home)
        assert answer.status_code < 502
        assert "small" in answer.text
        project.with_name("away").rename(project)
        assert browser.get(home).status_code == 200
        streams = browser.stream("GET", f"{home}runs/{folder.name}/events")
        with streams:
            pass


def test_a_port_that_is_taken_and_a_host_without_a_proxy_are_refused(project: Path) -> None:
    command = [sys.executable, "-m", "towpath", "-C", str(project), "studio", "--no-open"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = subprocess.run([*command, "--port", port], capture_output=True, text=True)
    assert refused.returncode == 2
    assert f"port {port} cannot be used: Address already in use" in refused.stderr
    alone = subprocess.run([*command, "--host", "0.0.0.0"], capture_output=True, text=True)
    assert alone.returncode == 2
    assert "--identity-header, --proxy and --url go together" in alone.stderr
