"""With no network at all, and then with no room on the disk: the story from new to `models`, and
Prefect's pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from running import FOLDER, Project, make

TESTS = Path(__file__).parents[1]
#: Brings the loopback up, sees that there is nothing else, and lives a project's first day there.
FIRST_DAY = """
import fcntl, json, re, socket, struct, sys
from pathlib import Path
from urllib.request import urlopen

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", 1))
assert [name for _, name in socket.if_nameindex()] == ["lo"]

sys.path.insert(0, sys.argv[1])
from command_line import call_towpath
from towpath.backends.prefect.server.project_api import read_service_status

def call(*words):
    done = call_towpath(Path.cwd(), *words)
    print(json.dumps([words, done.returncode, done.stdout, done.stderr]), flush=True)

call("run")
call("run")
call("run", "-p", "big=60000000")
call("run", "-p", "big=2")
call("models", "--json")
pages = read_service_status(Path.cwd()).ui
page = urlopen(pages).read().decode()
script = urlopen(pages + re.search(r'src="(/[^"]+[.]js)"', page)[1]).status
print(json.dumps([script, urlopen(f"{pages}/ui-settings").read().decode(), page]), flush=True)
call("down", "--force")
"""


def namespaces() -> list[str]:
    """How to leave the network and have mounts of one's own; skips where the system forbids it."""
    for command in (["unshare", "-nm"], ["unshare", "-rnm"]):
        if shutil.which("unshare") and not subprocess.run([*command, "true"]).returncode:
            return command
    pytest.skip("the kernel gives no namespaces here")


@pytest.fixture
def small_disk(tmp_path: Path) -> Project:
    """A project whose store takes forty megabytes. Mounted when a command is run in it."""
    project = make(tmp_path / "dark ä")
    project.edit(f"{FOLDER}/pipeline.yaml", "  limit: 100\n", "  limit: 100\n  big: 1\n")
    project.edit(f"{FOLDER}/pipeline.yaml", "steps:\n", "steps:\n  fill: {run: fill, params: [big],"
                 " outputs: [fill.txt]}\n")  # fmt: skip
    project.code(
        "def clean(", 'def fill(big: int) -> str:\n    return "x" * int(big)\n\n\ndef clean('
    )
    project.git("init", "-q", "-b", "main")
    project.commit()
    return project


def test_no_network_and_no_room(small_disk: Project, tmp_path: Path) -> None:
    root = small_disk.root
    cache = root / ".dvc" / "cache"
    cache.mkdir()
    (tmp_path / "day.py").write_text(FIRST_DAY)
    mounted = 'mount -t tmpfs -o size=40m none "$1" && exec "$2" "$3" "$4"'
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PREFECT_API")}
    day = [sys.executable, tmp_path / "day.py", TESTS]
    done = subprocess.run(
        [*namespaces(), "sh", "-c", mounted, "sh", cache, *day],
        cwd=root, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, again, full, after, models, pages, _ = map(json.loads, done.stdout.splitlines())
    assert first[1] == 0, first[3]
    assert "registered mean@v1.0.0" in first[3]
    assert again[1] == 0
    assert "5 reused" in again[3]

    assert full[1] == 1
    assert "error: fill: fill.txt could not be stored: the disk is full" in full[3]
    assert "Traceback" not in full[3]
    assert after[1] == 0, after[3]
    assert [m["version"] for m in json.loads(models[2])["models"]] == ["v1.0.0"]

    script, settings, page = pages
    assert script == 200
    assert '"api_url":"/api"' in settings.replace(" ", "")
    assert not re.findall(r'(?:src|href)="https?://', page)
