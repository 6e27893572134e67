"""What is no file: who reads it is told so, and waits for nobody."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from command_line import call_towpath
from running import FOLDER, make
from towpath.regular_files import read_regular_file


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(path))


def test_only_a_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    make_socket(tmp_path / "socket")
    (tmp_path / "text").write_bytes(b"text")
    (tmp_path / "link").symlink_to("text")
    assert read_regular_file(tmp_path / "link") == b"text"
    kinds = {"pipe": "it is a pipe", "socket": "it is a socket", "/dev/zero": "it is a device"}
    for name, words in kinds.items():
        with pytest.raises(OSError, match=words):
            read_regular_file(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        read_regular_file(tmp_path)


PLACES = {
    "towpath.yaml": "status",
    f"{FOLDER}/pipeline.yaml": "plan",
    f"{FOLDER}/steps.py": "plan",
    "data/raw.json": "run",
    "pyproject.toml": "status",
}


def test_no_command_waits_for_a_pipe(tmp_path: Path) -> None:
    for place, verb in PLACES.items():
        root = tmp_path / Path(place).name
        project = make(root)
        (project.root / place).unlink(missing_ok=True)
        os.mkfifo(project.root / place)
        completed = call_towpath(project.root, verb)
        output = completed.stdout + completed.stderr
        assert place in output and "it is a pipe" in output, output
