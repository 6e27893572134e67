"""The same against S3: a server that is strict about keys, as Amazon's is."""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_project import Project, entry_of, pull

import s3_server
from s3_server import Server
from towpath.backends.dvc import byte_transfer
from towpath.errors import StoreError

KEY = "5f" + "1c" * 31
WRONG = "mistyped-secret-7f3b"
REFUSED = "(Forbidden|The request signature|The access key ID) .*your credentials"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """One S3 server for all of these tests: it takes seconds to start."""
    with s3_server.running() as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, with its keys where DVC looks for them, and nothing else of Amazon's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", s3_server.REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", running.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", running.secret_key)
    return running


@pytest.fixture
def bucket(server: Server) -> str:
    """An empty bucket of the test's own."""
    return server.make_bucket()


def _remote(project: Project, name: str, url: str, server: str) -> None:
    project.dvc("remote", "add", name, url)
    project.dvc("remote", "modify", name, "endpointurl", server)


def test_push_wrong_bytes_pull(
    project: Project, server: Server, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    _remote(project, "store", f"s3://{bucket}/a prefix", server.url)
    project.dvc("remote", "default", "store")
    for number in range(60):
        project.write(f"data/{number}.csv", str(number) * 100)
    project.write("data/large.bin", os.urandom(6_000_000))
    made = project.store.put(Path("data"))
    project.store.remember(entry_of(KEY, made))

    moved = byte_transfer.push_objects(project.root)
    assert (moved.objects, moved.entries) == (62, 1)
    assert byte_transfer.push_objects(project.root).objects == 0

    shutil.rmtree(project.store.layout.cache)
    digest = "0" * 32
    with pytest.raises(StoreError, match=rf"{digest} is not in remote `store` \(s3://{bucket}"):
        byte_transfer.fetch_objects(project.root, [digest])
    moved = pull(project.root)
    assert (moved.objects, moved.entries) == (62, 1)
    assert project.store.entry(KEY) is not None

    torn = project.store.members(made.digest)["7.csv"]
    place = f"a prefix/files/md5/{torn[:2]}/{torn[2:]}"
    server.client().put_object(Bucket=bucket, Key=place, Body=b"7" * 99 + b"8")
    shutil.rmtree(project.store.layout.cache)
    assert pull(project.root).entries == 0
    assert f"{torn} in remote `store` holds other bytes" in caplog.text
    with pytest.raises(StoreError, match=f"{torn} in remote `store` holds other bytes") as caught:
        byte_transfer.fetch_objects(project.root, [made.digest])
    hint = caught.value.faults[0].hint
    assert hint is not None
    assert hint.startswith(f"delete s3://{bucket}/{place}, then")
    assert not project.store.path(torn).exists()


def test_a_bucket_that_is_not_there_and_a_server_that_is_gone_are_named(
    project: Project, server: Server, bucket: str
) -> None:
    digest = project.store.put(project.write("a.csv", "1")).digest
    for name, url, address in (
        ("b", f"s3://{bucket}-other/x", server.url),
        ("c", f"s3://{bucket}/x", "http://127.0.0.1:9"),
    ):
        _remote(project, name, url, address)
        with pytest.raises(StoreError, match=rf"remote `{name}` \({url}\): "):
            byte_transfer.push_objects(project.root, [digest], name)


@pytest.mark.parametrize(
    ("kept", "known"),
    [("environment", False), ("config.local", True)],
    ids=["an unknown key in the environment", "a wrong secret in config.local"],
)
def test_keys_that_are_refused_are_named_and_not_shown(
    project: Project,
    server: Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    known: bool,
    kept: str,
) -> None:
    url = f"s3://{bucket}/x"
    _remote(project, "store", url, server.url)
    digest = project.store.put(project.write("a.csv", "1")).digest
    assert byte_transfer.push_objects(project.root, [digest], "store").objects == 1
    access = server.access_key if known else "AKIANOBODY"
    if kept == "environment":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WRONG)
    else:
        project.dvc("remote", "modify", "--local", "store", "access_key_id", access)
        project.dvc("remote", "modify", "--local", "store", "secret_access_key", WRONG)
    shown = []
    for ask in (
        lambda: byte_transfer.push_objects(project.root, [digest], "store"),
        lambda: byte_transfer.fetch_objects(project.root, ["0" * 32], "store"),
        lambda: byte_transfer.missing_on_remote(project.root, [digest], "store"),
        lambda: byte_transfer.fetch_objects(project.root, remote="store"),
    ):
        with pytest.raises(StoreError, match=rf"remote `store` \({url}\): {REFUSED}") as caught:
            ask()
        shown += traceback.format_exception(caught.value)
    assert WRONG not in "".join([*shown, *capfd.readouterr()])
    assert server.secret_key not in "".join(shown)
