"""The same against S3, where a server for tests is at hand (`moto_server`, in any environment)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_project import Project, entry_of

from towpath.errors import StoreError
from towpath.store import remote

s3fs = pytest.importorskip("s3fs")
SERVER = shutil.which("moto_server")
KEY = "5f" + "1c" * 31


def _answers() -> bool:
    """Whether what is on the path is a server, and not a shim for one that is not installed."""
    return SERVER is not None and not subprocess.run([SERVER, "-h"], capture_output=True).returncode


pytestmark = pytest.mark.skipif(not _answers(), reason="`moto_server` is not on the path")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server with an empty bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert SERVER is not None
    environment = {"PATH": os.environ["PATH"]}
    server = subprocess.Popen(
        [SERVER, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL, env=environment
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                put = urllib.request.Request(f"{url}/bucket", method="PUT")
                urllib.request.urlopen(put).close()
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


def test_push_wrong_bytes_pull(project: Project, endpoint: str) -> None:
    project.dvc("remote", "add", "-d", "store", "s3://bucket/a prefix")
    project.dvc("remote", "modify", "store", "endpointurl", endpoint)
    local = project.remote("backup", default=False)
    for number in range(60):
        project.write(f"data/{number}.csv", str(number) * 100)
    project.write("data/large.bin", os.urandom(6_000_000))
    made = project.store.put(Path("data"))
    project.store.remember(entry_of(KEY, made))

    moved = remote.push(project.root)
    assert (moved.objects, moved.entries) == (62, 1)
    assert remote.push(project.root).objects == 0
    assert len(remote.listing(project.root)) == 62
    assert remote.copy(project.root, "store", "backup", [made.digest]).objects == 62
    assert sum(1 for path in local.rglob("*") if path.is_file()) == 62

    shutil.rmtree(project.store.layout.cache)
    digest = "0" * 32
    with pytest.raises(StoreError, match=rf"{digest} is not in remote `store` \(s3://bucket"):
        remote.fetch(project.root, [digest])
    assert remote.lookup(project.root, [KEY])
    moved = remote.pull(project.root)
    assert (moved.objects, moved.entries) == (62, 1)
    assert project.store.entry(KEY) is not None

    torn = project.store.members(made.digest)["7.csv"]
    there = s3fs.S3FileSystem(endpoint_url=endpoint)
    there.pipe_file(f"bucket/a prefix/files/md5/{torn[:2]}/{torn[2:]}", b"7" * 99 + b"8")
    shutil.rmtree(project.store.layout.cache)
    with pytest.raises(StoreError, match=f"{torn} in remote `store` holds other bytes") as caught:
        remote.pull(project.root)
    hint = caught.value.faults[0].hint
    assert hint is not None
    assert hint.startswith(f"delete s3://bucket/a prefix/files/md5/{torn[:2]}/{torn[2:]}, then")
    assert not project.store.path(torn).exists()


def test_a_bucket_that_is_not_there_and_a_server_that_is_gone_are_named(
    project: Project, endpoint: str
) -> None:
    digest = project.store.put(project.write("a.csv", "1")).digest
    for name, url, server in (
        ("b", "s3://other/x", endpoint),
        ("c", "s3://bucket/x", "http://127.0.0.1:9"),
    ):
        project.dvc("remote", "add", name, url)
        project.dvc("remote", "modify", name, "endpointurl", server)
        with pytest.raises(StoreError, match=rf"remote `{name}` \({url}\): "):
            remote.push(project.root, [digest], name)
