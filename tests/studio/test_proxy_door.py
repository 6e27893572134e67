"""Studio behind a proxy: it believes that one alone, and acts as the person whom it names."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from running import Project
from towpath.errors import UsageError
from towpath.studio.access_guard import ActingPerson
from towpath.studio.proxy_identity import ProxyDoor
from towpath.studio.studio_app import StudioProject, guard_project

HOME = "https://studio.example.org"
HEADER = "X-Forwarded-User"


@dataclass(frozen=True)
class Asker:
    """Asks the application itself, from any address: no server has to listen there."""

    app: Any
    address: str
    url: str

    def get(self, path: str, headers: Any) -> httpx.Response:
        return self._ask("GET", path, headers=headers)

    def post(self, path: str, data: dict[str, str], headers: Any) -> httpx.Response:
        return self._ask("POST", path, data=data, headers=headers)

    def _ask(self, method: str, path: str, **values: Any) -> httpx.Response:
        with ThreadPoolExecutor(1) as pool:  # a browser of other tests has this thread's loop
            return pool.submit(asyncio.run, self._send(method, path, **values)).result()

    async def _send(self, method: str, path: str, **values: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(self.address, 1))
        async with httpx.AsyncClient(transport=transport, base_url=self.url) as client:
            return await client.request(method, path, **values)


def ask_from(shown: Project, address: str = "10.0.0.5", url: str = HOME) -> Asker:
    door = ProxyDoor.from_options(HEADER, ("10.0.0.5", "10.1.0.0/16"), HOME)
    return Asker(guard_project(StudioProject(shown.root), door), address, url)


def test_only_the_proxy_says_who_asks(shown: Project) -> None:
    ada = {HEADER: "ada@example.org"}
    assert ask_from(shown).get("/", headers=ada).status_code == 200
    assert ask_from(shown, "10.1.2.3").get("/", headers=ada).status_code == 200
    assert ask_from(shown, "::ffff:10.0.0.5").get("/", headers=ada).status_code == 200
    for address in ("10.0.0.6", "127.0.0.1", "::1", "testclient", ""):
        client = ask_from(shown, address)
        assert client.get("/", headers=ada).status_code == 403, address
        forged = ada | {"X-Forwarded-For": "10.0.0.5", "Forwarded": "for=10.0.0.5"}
        assert client.get("/", headers=forged).status_code == 403
    # No token opens it, and no other name.
    assert ask_from(shown).get("/?token=x", headers={}).status_code == 401
    for url in ("https://127.0.0.1", "https://evil.example", f"{HOME}:8000"):
        assert ask_from(shown, url=url).get("/", headers=ada).status_code == 421


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"a\nb", b"a\r\nX: y", b"Ada <root@example.org>", b"ada>", b"a b", b"a\x00b", b"-x",
     "ad\xe4".encode(), "\u0430da@example.org".encode(), b"a@b@c", b"ada.", b"x" * 300,
     b'"ada"', b"ada,bob"],
)  # fmt: skip
def test_a_name_that_is_not_plain_is_nobody(shown: Project, value: bytes) -> None:
    headers = [(HEADER.encode(), value)]
    assert ask_from(shown).get("/", headers=headers).status_code == 401


def test_two_names_are_nobody(shown: Project) -> None:
    twice = [(HEADER, "ada@example.org"), (HEADER.lower(), "bob@example.org")]
    assert ask_from(shown).get("/", headers=twice).status_code == 401


def test_who_acts_is_whom_the_proxy_names(shown: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the server could sign, or has a name of its own in the environment."""
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "server@example.org")
    shown.git("config", "commit.gpgsign", "true")
    client = ask_from(shown)
    grace = {HEADER: "grace"}
    page = client.get("/promotions/mean-v1.0.0-uat/", headers=grace).text
    assert "you act as grace@studio.example.org" in page
    (word,) = set(re.findall(r'name="form_token" value="([0-9a-f]{64})"', page))
    form = {"form_token": word, "promotion": "mean-v1.0.0-uat"}
    ours = grace | {"origin": HOME, "sec-fetch-site": "same-origin"}
    # A form of hers is not another person's, and comes from our own address.
    other = ours | {HEADER: "bob"}
    assert client.post("/actions/approve", data=form, headers=other).status_code == 403
    http = ours | {"origin": "http://studio.example.org"}
    assert client.post("/actions/approve", data=form, headers=http).status_code == 403
    answer = client.post("/actions/approve", data=form, headers=ours)
    assert answer.status_code == 200, answer.text
    people = shown.git("log", "-1", "--format=%an %ae %cn %ce", "main").strip()
    assert people == "grace grace@studio.example.org grace grace@studio.example.org"
    assert "gpgsig" not in shown.git("cat-file", "commit", "main")
    history = client.get("/stages/uat/", headers=grace).text
    assert "grace" in history


def act(client: Asker, who: str, action: str, **form: str) -> httpx.Response:
    """As a form of the person's own page asks for it."""
    word = re.search(
        r'name="form_token" value="([0-9a-f]{64})"',
        client.get("/models/mean/v1.0.0/", headers={HEADER: who}).text,
    )
    assert word
    headers = {HEADER: who, "origin": HOME, "sec-fetch-site": "same-origin"}
    return client.post(f"/actions/{action}", data={"form_token": word[1], **form}, headers=headers)


def test_another_person_has_to_approve_and_of_two_one_does(own_shown: Project) -> None:
    own_shown.edit("towpath.yaml", "stages:\n", "stages:\n  lab: {}\n")
    own_shown.edit("towpath.yaml", "self_approval: true", "self_approval: false")
    own_shown.commit()
    client, name = ask_from(own_shown), "mean-v1.0.0-lab"
    proposed = act(client, "ada", "promote", version="mean@v1.0.0", stage="lab")
    assert proposed.status_code == 200, proposed.text
    page = client.get(f"/promotions/{name}/", headers={HEADER: "ada"}).text
    assert "<dt>you act as</dt><dd>ada@studio.example.org</dd>" in page
    own = act(client, "ada", "approve", promotion=name)
    assert own.status_code == 409
    assert "the policy wants another to approve it" in own.text
    with ThreadPoolExecutor(2) as pool:
        answers = [
            pool.submit(act, client, who, "approve", promotion=name) for who in ("grace", "bob")
        ]
    codes = {answer.result().status_code: answer.result().text for answer in answers}
    assert codes.keys() == {200, 409}
    winner = own_shown.git("log", "-1", "--format=%an <%ae>", "main").strip()
    assert winner in {f"{who} <{who}@studio.example.org>" for who in ("grace", "bob")}
    assert f" {winner.partition(' ')[0]} &lt;" in codes[200]
    late = act(client, "carol", "approve", promotion=name)
    assert f"does not wait any more: {winner.partition(' ')[0]} " in late.text


@pytest.mark.parametrize(
    ("header", "proxy", "url", "what"),
    [
        ("X Y", "10.0.0.5", HOME, "no header's name"),
        (HEADER, "proxy.example", HOME, "--proxy:"),
        (HEADER, "10.0.0.5", "studio.example.org", "not the address"),
        (HEADER, "10.0.0.5", f"{HOME}/below", "not the address"),
        (HEADER, "10.0.0.5", "https://a@studio.example.org", "not the address"),
    ],
)
def test_a_door_that_is_not_declared_whole_is_refused(
    header: str, proxy: str, url: str, what: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(what)):
        ProxyDoor.from_options(header, (proxy,), url)


def test_a_command_has_nothing_of_the_servers_person() -> None:
    environment = {
        "PATH": "/bin", "GITHUB_TOKEN": "secret", "SSH_AUTH_SOCK": "/s", "LOGNAME": "server",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
    }  # fmt: skip
    dressed = ActingPerson("ada", "ada@example.org").dress_environment(environment)
    assert "secret" not in dressed.values()
    assert "SSH_AUTH_SOCK" not in dressed
    assert dressed["LOGNAME"] == dressed["GIT_AUTHOR_NAME"] == "ada"
    assert dressed["GIT_CONFIG_KEY_0"] == "safe.directory"
    assert int(dressed["GIT_CONFIG_COUNT"]) == sum(
        key.startswith("GIT_CONFIG_KEY") for key in dressed
    )
    assert environment["LOGNAME"] == "server"
