"""With no network at all but the loopback, the API and its pages work."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IN_THE_DARK = """
import fcntl, re, socket, struct, sys
from pathlib import Path
from urllib.request import urlopen

SIOCSIFFLAGS, IFF_UP = 0x8914, 1
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
assert [name for _, name in socket.if_nameindex()] == ["lo"]

from towpath.backends.prefect import server
from towpath.backends.prefect.server import start_api
api = server.ensure_api(Path(sys.argv[1]))
page = urlopen(api.pages_url).read().decode()
script = re.search(r'src="(/[^"]+[.]js)"', page)[1]
assert urlopen(api.pages_url + script).status == 200
print(urlopen(api.pages_url + "/ui-settings").read().decode())
print(page)
start_api.stop_local_api(api.home)
"""


def unshare() -> list[str]:
    """How to leave the network; skips where the system does not let us."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run([*command, "true"]).returncode == 0:
            return command
    pytest.skip("no network namespaces here")


def test_api_and_pages_need_no_network(project: Path) -> None:
    command = [*unshare(), sys.executable, "-c", IN_THE_DARK, project]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    settings, page = told.stdout.split("\n", 1)
    assert '"api_url":"/api"' in settings.replace(" ", "")
    assert not re.findall(r'(?:src|href)="https?://', page)
