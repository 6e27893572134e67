"""Stages in buckets of a real S3 server, each with keys of its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import s3_server
from reconcile_project import Project, read_deployment
from towpath.errors import StoreError
from towpath.storage.storage_backend import object_path

SECRETS = {"dev": "dev-secret-61cc", "uat": "uat-secret-9f02", "prod": "prod-secret-7a7b"}


@pytest.fixture(scope="module")
def server() -> Iterator[s3_server.Server]:
    """A server with an identity for each stage: it writes its own bucket, and reads one below."""
    names = list(SECRETS)
    identities = [
        s3_server.Identity(
            name,
            f"{name}-key",
            SECRETS[name],
            (
                *(f"{right}:shells-{name}" for right in ("Read", "List", "Write")),
                *(
                    f"{right}:shells-{below}"
                    for below in names[:place][-1:]
                    for right in ("Read", "List")
                ),
            ),
        )
        for place, name in enumerate(names)
    ]
    reads = ("Read:shells-prod", "List:shells-prod")
    identities.append(s3_server.Identity("reader", "reader-key", "reader-secret-0b1d", reads))
    with s3_server.running(identities) as found:
        for name in names:
            found.client().create_bucket(Bucket=f"shells-{name}")
        yield found


@pytest.fixture
def project(make_project: Callable[..., Project], server: s3_server.Server) -> Project:
    """A project whose three stages are buckets; it holds the keys of all."""
    client = server.client()
    for name in SECRETS:
        for row in client.list_objects_v2(Bucket=f"shells-{name}").get("Contents", []):
            client.delete_object(Bucket=f"shells-{name}", Key=row["Key"])
    stages = "\n".join(
        f"  {name}:\n    store: {{url: s3://shells-{name}/a prefix, endpoint: '{server.url}', "
        f"region: us-east-1, credentials: {{access_key: {name.upper()}_KEY, "
        f"secret_key: {name.upper()}_SECRET}}}}"
        for name in SECRETS
    )
    found = make_project(f"\n{stages}")
    for name, secret in SECRETS.items():
        found.environ.update(
            {f"{name.upper()}_KEY": f"{name}-key", f"{name.upper()}_SECRET": secret}
        )
    return found


def only(project: Project, stage: str) -> None:
    """Leave the keys of one stage, as in its account."""
    for name in SECRETS:
        if name != stage:
            project.environ.pop(f"{name.upper()}_KEY", None)
            project.environ.pop(f"{name.upper()}_SECRET", None)


def test_each_stage_with_its_own_keys(project: Project, server: s3_server.Server) -> None:
    members = {"a.bin": b"a" * 7_000_000, "b/c.bin": b"c"}
    first = project.register(members, name="net", kind="folder")
    keys = dict(project.environ)
    for stage in SECRETS:
        project.environ.update(keys)
        only(project, stage)
        project.promote(first, stage)
        applied = project.apply(stage)
        assert applied.exit_code == 0, applied.outcomes
    assert project.said("prod") == {"abalone": f"nothing to do: {first}"}
    known = read_deployment(project.store("prod"), "abalone")
    assert known
    assert str(known.version) == first

    client = server.client()
    for name in ("dev", "uat"):  # whole accounts are emptied
        for row in client.list_objects_v2(Bucket=f"shells-{name}").get("Contents", []):
            client.delete_object(Bucket=f"shells-{name}", Key=row["Key"])
    assert project.apply("prod").outcomes == ()
    record = project.record(first)
    place = f"a prefix/{object_path(record.artifact.digest)}"
    client.put_object(Bucket="shells-prod", Key=place, Body=b"[]")
    assert "its bytes in the stage's store are altered" in project.said("prod")["abalone"]
    applied = project.apply("prod")
    assert applied.exit_code == 1
    assert "is not in the store of uat (s3://shells-uat/a prefix)" in str(
        applied.outcomes[0].faults
    )


def test_a_key_that_may_only_read_is_enough_to_look(project: Project) -> None:
    version = project.register(b"one")
    project.up_to("prod", version)
    project.environ.update({"PROD_KEY": "reader-key", "PROD_SECRET": "reader-secret-0b1d"})
    assert project.said("prod") == {"abalone": f"nothing to do: {version}"}
    with pytest.raises(StoreError, match=r"the store of prod .*Access Denied"):
        project.apply("prod")


def test_dev_can_neither_read_nor_write_prod(project: Project) -> None:
    version = project.register(b"one")
    project.promote(version, "dev")
    assert project.apply("dev").exit_code == 0
    project.environ.update({"PROD_KEY": "dev-key", "PROD_SECRET": SECRETS["dev"]})
    said = []
    record = project.record(version)
    store = project.store("prod")
    for ask in (
        lambda: store.verify(record.artifact, record.sha256),
        lambda: store.read("towpath/lease.json"),
        lambda: store.write("towpath/lease.json", b"{}", None),
        lambda: store.names("towpath/deployed"),
        lambda: project.plan("prod"),
        lambda: project.apply("prod"),
    ):
        with pytest.raises(
            StoreError, match=r"the store of prod \(s3://shells-prod/a prefix\): "
        ) as e:
            ask()
        assert "Forbidden" in str(e.value) or "Access Denied" in str(e.value)
        said += traceback.format_exception(e.value)
    assert not [secret for secret in SECRETS.values() if secret in "".join(said)]


def test_wrong_keys_a_bucket_that_is_not_there_and_a_silent_server(project: Project) -> None:
    project.environ["PROD_SECRET"] = "mistyped-secret-7f3b"
    with pytest.raises(StoreError, match="the store of prod") as caught:
        project.plan("prod")
    assert "mistyped" not in "".join(traceback.format_exception(caught.value))
    text = (project.root / "towpath.yaml").read_text()
    for old, new in (("s3://shells-dev/", "s3://shells-gone/"), ("127.0.0.1:", "127.0.0.1:1")):
        project.write("towpath.yaml", text.replace(old, new, 1))
        project.commit("elsewhere")
        with pytest.raises(StoreError, match=r"the store of dev \(s3://"):
            project.apply("dev")


def test_of_many_writers_one_wins(project: Project) -> None:
    store = project.store("uat")
    first = store.write("towpath/x.json", b"0", None)
    assert first is not None
    assert store.write("towpath/x.json", b"1", None) is None
    with ThreadPoolExecutor(8) as pool:
        marks = list(
            pool.map(lambda n: store.write("towpath/x.json", b"%d" % n, first), range(2, 10))
        )
    won: list[Any] = [mark for mark in marks if mark]
    assert len(won) == 1
    found = store.read("towpath/x.json")
    assert found == (b"%d" % (marks.index(won[0]) + 2), won[0])
