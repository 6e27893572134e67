"""A store, the Prefect API, the forge or a shared registry away: dead, silent, or out of its mind.
Every page stays, in time, and says which it is; nobody's key is in it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from page_walk import find_unfit, list_addresses, walk_pages

import s3_server
from running import Project
from towpath.studio.beside_answers import BesideAnswers, HeardAnswer

OpenStudio = Callable[[Path], httpx.Client]
DEAD = "127.0.0.1:9"
SECRET = "s3cret-of-nobody"
UNREADABLE = ("/models/mean/", "/compare/versions/", "/promotions/mean", "/stages/")
ELSEWHERE = "/elsewhere/0b7a2c9e-3f7e-4d5a-9d8e-2b1f0c3d4e5f/"


class Madman(BaseHTTPRequestHandler):
    """Answers everything with something else."""

    def answer_nonsense(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "9")
        self.end_headers()
        self.wfile.write(b"<html>\xff\xfe\n")

    def do_GET(self) -> None:
        self.answer_nonsense()

    def do_POST(self) -> None:
        self.answer_nonsense()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(params=["dead", "silent", "mad"])
def away(request: pytest.FixtureRequest) -> Iterator[str]:
    """Host and port of a server that is no use."""
    if request.param == "dead":
        yield DEAD
    elif request.param == "silent":  # it takes a connection, and says nothing
        with socket.create_server(("127.0.0.1", 0)) as listening:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
    else:
        with ThreadingHTTPServer(("127.0.0.1", 0), Madman) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield f"127.0.0.1:{server.server_port}"
            server.shutdown()


def test_a_store_that_is_away_hides_no_page(
    own_shown: Project, away: str, open_studio: OpenStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_KEY", "AKIAXXXXXXXXXXXXXXXX")
    monkeypatch.setenv("STORE_SECRET", SECRET)
    store = (
        f"{{url: s3://models/mean, endpoint: 'http://{away}', region: us-east-1, "
        "credentials: {access_key: STORE_KEY, secret_key: STORE_SECRET}}"
    )
    addresses = list_addresses(own_shown.root)
    own_shown.edit("towpath.yaml", "what is tried}", f"what is tried, store: {store}}}")
    own_shown.commit()
    client = open_studio(own_shown.root)
    answers = walk_pages(client, addresses)
    assert find_unfit(answers) == []
    assert "the store of dev (s3://models/mean)" in answers["/stages/dev/"].text
    assert not any(SECRET in answer.text for answer in answers.values())


def test_a_store_that_stops_in_the_midst_hides_no_page(
    own_shown: Project, open_studio: OpenStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real server of the S3 protocol: what it said last stays, with a word."""
    ask = BesideAnswers.ask

    def ask_anew(
        answers: BesideAnswers, name: str, question: Callable[[], object], fresh: float = 0.0,
        patience: float | None = None,
    ) -> HeardAnswer:  # fmt: skip
        return ask(answers, name, question, min(fresh, 0.2), patience)

    monkeypatch.setattr(BesideAnswers, "ask", ask_anew)  # a minute later, at once
    pages = ("/", "/stages/dev/", "/models/", "/runs/")
    with s3_server.running() as server:
        monkeypatch.setenv("STORE_KEY", server.access_key)
        monkeypatch.setenv("STORE_SECRET", server.secret_key)
        store = (
            f"{{url: 's3://{server.make_bucket()}/mean', endpoint: '{server.url}', "
            f"region: {s3_server.REGION}, "
            "credentials: {access_key: STORE_KEY, secret_key: STORE_SECRET}}"
        )
        own_shown.edit("towpath.yaml", "what is tried}", f"what is tried, store: {store}}}")
        own_shown.commit()
        client = open_studio(own_shown.root)
        heard = wait_for(client, "/stages/dev/", "against what main says")
        assert "the store of dev" not in heard
    assert find_unfit(walk_pages(client, pages)) == []
    stopped = wait_for(client, "/stages/dev/", "the store of dev (s3://")
    assert "against what main says" in stopped  # as it was heard before
    answers = walk_pages(client, pages)
    assert find_unfit(answers) == []
    assert not any(server.secret_key in answer.text for answer in answers.values())


def wait_for(client: httpx.Client, address: str, words: str) -> str:
    """The page, once it says that."""
    end = time.monotonic() + 40
    while words not in (text := client.get(address).text):
        assert time.monotonic() < end, text[-3000:]
        time.sleep(0.3)
    return text


def test_a_forge_that_is_away_hides_no_promotion(
    own_shown: Project, away: str, open_studio: OpenStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", f"ghp_{SECRET}")
    addresses = list_addresses(own_shown.root)
    with (own_shown.root / "towpath.yaml").open("a") as file:
        file.write(f"forge: {{kind: github, repository: a/b, api: 'http://{away}'}}\n")
    own_shown.commit()
    own_shown.git("remote", "add", "origin", f"http://ada:{SECRET}@{away}/a/b.git")
    own_shown.git("update-ref", "refs/remotes/origin/main", "main")
    own_shown.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    client = open_studio(own_shown.root)
    answers = walk_pages(client, addresses)
    assert find_unfit(answers) == []
    # It waits here, by its branch, and who reads that knows that the forge may know better.
    assert "/promotions/mean-v1.0.0-uat/" in answers
    for address in ("/", "/promotions/", "/promotions/mean-v1.0.0-uat/"):
        assert "the forge " in answers[address].text, address
        assert "promotions are those whose branches are here" in answers[address].text, address
    assert not any(SECRET in answer.text for answer in answers.values())


def test_an_api_that_is_away_hides_no_page(
    own_shown: Project, away: str, open_studio: OpenStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://{away}/api")
    monkeypatch.setenv("PREFECT_API_KEY", SECRET)
    client = open_studio(own_shown.root)
    answers = walk_pages(client, [*list_addresses(own_shown.root), ELSEWHERE])
    assert find_unfit(answers, [ELSEWHERE]) == []
    for address in ("/runs/", ELSEWHERE):
        assert "Prefect " in answers[address].text, address
    assert not any(SECRET in answer.text for answer in answers.values())


def test_a_registry_that_was_never_heard_hides_no_run(
    own_shown: Project, away: str, open_studio: OpenStudio
) -> None:
    addresses = list_addresses(own_shown.root)
    with (own_shown.root / "towpath.yaml").open("a") as file:
        file.write(f"registry: 'http://ada:{SECRET}@{away}/a/registry.git'\n")
    client = open_studio(own_shown.root)
    answers = walk_pages(client, addresses)
    assert find_unfit(answers, UNREADABLE) == []
    assert all("the shared registry" in answer.text for answer in answers.values())
    home = answers["/"].text
    assert "Which stages there are cannot be read now." in home
    assert not any(words in home for words in ("Register the model", "nothing is committed"))
    assert not any(SECRET in answer.text for answer in answers.values())


def test_a_remote_that_never_said_which_branch_is_main_holds_up_no_page(
    own_shown: Project, open_studio: OpenStudio
) -> None:
    """As after `git remote add` and `git push`: the remote is asked, beside the pages."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        own_shown.git("remote", "add", "origin", f"http://ada:{SECRET}@127.0.0.1:{port}/a/b.git")
        own_shown.git("update-ref", "refs/remotes/origin/main", "main")
        answers = walk_pages(open_studio(own_shown.root), ["/", "/models/", "/promotions/"])
    assert find_unfit(answers) == []
    assert "the remote origin has not answered yet" in answers["/"].text
    assert not any(SECRET in answer.text for answer in answers.values())


def test_who_does_not_answer_is_waited_for_once() -> None:
    """Not by every page again; and what a library raises is no question for ever."""
    answers, begun = BesideAnswers(patience=0.2), time.monotonic()
    for _ in range(5):
        heard = answers.ask("silent", lambda: time.sleep(3))
    assert time.monotonic() - begun < 1
    assert heard.silence > 0.2
    count = []

    def break_down() -> None:
        count.append(1)
        raise LookupError("http://ada:secret@host is odd")

    faults = [answers.ask("broken", break_down).fault for _ in range(3)]
    assert set(faults) == {"LookupError: http://host is odd"}
    assert len(count) == 1
