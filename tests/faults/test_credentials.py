"""A remote's password is in no word that Towpath says, and in no log of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from own_home import CopyWorld
from running import Project, make
from towpath import credentials
from towpath.backends.dvc.dvc_config import shared_remote
from towpath.credentials import hide_credentials, strip_credentials
from towpath.errors import Fault, StoreError

MARK = "Sw0rdf1sh-9d41"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"https://ada:{MARK}@host/x: 403", "https://host/x: 403"),
        (f"'https://{MARK}@github.com/a/b.git/'", "'https://github.com/a/b.git/'"),
        (f"https://ada:p@{MARK}@host:8443/x", "https://host:8443/x"),
        (f"ssh://git:{MARK}@host/x", "ssh://git@host/x"),
        ("ssh://git@host/x and git@github.com:a/b", "ssh://git@host/x and git@github.com:a/b"),
        (f"GET https://host/x?a=1&token={MARK}&b=2", "GET https://host/x?a=1&token=***&b=2"),
        (f"s3://b/k?X-Amz-Signature={MARK}", "s3://b/k?X-Amz-Signature=***"),
        (f"https://x.blob/c?sv=1&sig={MARK})", "https://x.blob/c?sv=1&sig=***)"),
        (f"AccountName=a;AccountKey={MARK};End=x", "AccountName=a;AccountKey=***;End=x"),
        (f"{{'Authorization': 'Basic {MARK}'}}", "{'Authorization': 'Basic ***'}"),
        ("no password: https://host:80/a@v1?page=2", "no password: https://host:80/a@v1?page=2"),
        ("abalone@v1.0.0 of user@host", "abalone@v1.0.0 of user@host"),
    ],
)
def test_what_lets_somebody_in_is_hidden(said: str, shown: str) -> None:
    assert hide_credentials(said) == shown
    fault = Fault(said, hint=said)
    assert (fault.what, fault.hint) == (shown, shown)
    assert MARK not in str(StoreError(said, hint=said))


def test_an_address_for_others_lets_nobody_in() -> None:
    assert strip_credentials(f"https://a:{MARK}@h/x?token={MARK}") == "https://h/x"
    assert strip_credentials("s3://bucket/a") == "s3://bucket/a"


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def build(folder: Path) -> None:
    made = make(folder / "project")
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "Ada Tester")
    made.git("config", "user.email", "ada@example.org")
    made.commit()


@pytest.fixture
def project(tmp_path: Path, copy_world: CopyWorld) -> Iterator[Project]:
    copy_world(build, tmp_path)
    yield Project(tmp_path / "project")
    credentials._known.clear()


REMOTES = {
    "http": "url = http://ada:{mark}@127.0.0.1:{port}/store",
    "http, apart": "url = http://127.0.0.1:{port}/store\n    user = ada\n    password = {mark}",
    "webdav": "url = webdav://ada:{mark}@127.0.0.1:{port}/store?token={mark}",
    "s3": "url = s3://bucket/{mark}\n    endpointurl = http://127.0.0.1:{port}\n"
    "    access_key_id = {mark}\n    secret_access_key = {mark}",
    "no scheme that is known": "url = nowhere://ada:{mark}@127.0.0.1:{port}/store?sig={mark}",
}


@pytest.mark.parametrize("remote", REMOTES)
@pytest.mark.parametrize("words", [["push"], ["pull"]], ids=" ".join)
def test_a_store_s_password_is_not_said(
    project: Project, refusing: int, remote: str, words: list[str]
) -> None:
    settings = REMOTES[remote].format(mark=MARK, port=refusing)
    project.write(".dvc/config", f"[core]\n    remote = far\n['remote \"far\"']\n    {settings}\n")
    project.store.put(project.root / "data" / "raw.json")
    project.git("add", "-A")
    fast = {"AWS_MAX_ATTEMPTS": "1", "AWS_RETRY_MODE": "standard"}
    said = project.towpath(*words, **fast)
    as_json = project.towpath(*words, "--json", **fast)
    verbose = project.towpath("-vv", *words, TOWPATH_TRACEBACK="1", **fast)
    for answer in (said, as_json, verbose):
        assert answer.code in (0, 1, 2), answer.err
        assert MARK not in answer.out + answer.err
    for path in (project.root / ".towpath").rglob("*"):
        assert not path.is_file() or MARK.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    "words", [["push"], ["pull"], ["fetch"], ["models"], ["doctor"], ["verify"]], ids=" ".join
)
def test_a_registry_s_password_is_not_said(
    project: Project, refusing: int, words: list[str]
) -> None:
    address = f"http://ada:{MARK}@127.0.0.1:{refusing}/{'x'}.git?private_token={MARK}"
    project.git("remote", "add", "origin", address)
    for call in ([*words], [*words, "--json"], ["-vv", *words]):
        said = project.towpath(*call)
        assert MARK not in said.out + said.err
        assert said.code != 70, said.err


def test_another_repository_hears_where_a_store_is_and_no_password(project: Project) -> None:
    project.write(
        ".dvc/config",
        f"[core]\n    remote = far\n['remote \"far\"']\n    url = https://ada:{MARK}@h/s?sig={MARK}\n",
    )
    found = shared_remote(project.root)
    assert found
    assert found.settings == {"url": "https://h/s"}


def test_plain_words_of_a_remote_s_settings_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_known", set())
    credentials.remember_secrets(
        {
            "auth": "basic",
            "ask_password": "false",
            "ask_passphrase": "true",
            "keyfile": "/home/ada/.ssh/id_rsa",
            "credentialpath": "/home/ada/.aws/credentials",
            "gdrive_user_credentials_file": "credentials.json",
            "custom_auth_header": "X-Access",
            "bearer_token_command": "print-token",
            "exclude_managed_identity_credential": "false",
            "gss_auth": "true",
            "url": "http://127.0.0.1:9/basic-data",
        }
    )
    said = (
        "http://127.0.0.1:9/basic-data: X-Access, print-token, true, false, /home/ada/.ssh/id_rsa"
    )
    assert hide_credentials(said) == said


@pytest.mark.parametrize(
    "name",
    [
        "password", "passphrase", "token", "sas_token", "session_token", "secret_access_key",
        "account_key", "client_secret", "gdrive_client_secret", "oss_key_secret", "oss_key_id",
        "access_key_id", "sse_customer_key", "connection_string",
    ],
)  # fmt: skip
def test_a_secret_setting_is_hidden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_known", set())
    credentials.remember_secrets({name: MARK})
    assert hide_credentials(f"a word with{MARK}in it") == "a word with***in it"


def test_a_short_secret_is_hidden_where_it_stands_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credentials, "_known", set())
    credentials.remember_secrets({"password": "data"})
    assert hide_credentials("key 'data' of database") == "key '***' of database"
