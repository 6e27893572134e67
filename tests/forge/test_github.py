"""What a server could do to who speaks to it: tokens led astray, words that are none, a race."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from github_server import GitHubServer

from towpath import forge
from towpath.backends.github import Patience
from towpath.backends.github.connect_forge import connect_forge
from towpath.config.project_declaration import parse_project
from towpath.errors import ForgeError, UserError
from towpath.forge import Forge

NAME = "acme/abalone"
As = Callable[[str], Forge]
QUICK = Patience(timeout=20.0, attempts=3, pause=0.01, longest=1.0)
PLAIN = "name: abalone\nforge: {kind: github}\n"


def words(error: pytest.ExceptionInfo[ForgeError] | pytest.ExceptionInfo[UserError]) -> str:
    """All that a person reads of an error."""
    return "; ".join(f"{fault.what} [{fault.hint}]" for fault in error.value.faults)


def connect(environ: dict[str, str], text: str = PLAIN) -> Forge | None:
    return connect_forge(parse_project(text), environ=environ, patience=QUICK)


def test_what_the_environment_says_goes_before_what_is_declared(github: GitHubServer) -> None:
    github.person("robot").token = "second"
    text = "name: a\nforge: {kind: github, api: 'https://127.0.0.1:1'}\n"
    found = connect(
        {
            "GITHUB_API_URL": f"{github.url}/",
            "GITHUB_TOKEN": " ",
            "GH_TOKEN": "second\n",
            "GITHUB_REPOSITORY": NAME,
        },
        text,
    )
    assert found is not None
    assert (found.user(), found.repository, found.name) == ("robot", NAME, "GitHub")
    declared = text.replace("api:", "repository: acme/other, api:")
    found = connect({"GITHUB_TOKEN": "t", "GITHUB_REPOSITORY": NAME}, declared)
    assert found is not None
    assert found.repository == "acme/other"
    assert "second" not in repr(found)


@pytest.mark.parametrize("body", [b"<html>no</html>", b"", b"[1]", b'{"errors": {"a": 1}}'])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 451])
def test_an_error_without_github_s_words(
    status: int, body: bytes, github: GitHubServer, as_person: As
) -> None:
    github.fail_next(status, {}, body)
    with pytest.raises(ForgeError) as error:
        as_person("ada").user()
    assert len(words(error)) > 20


def test_what_a_server_says_moves_no_cursor(github: GitHubServer, as_person: As) -> None:
    github.fail_next(422, {}, {"message": "no\x1b[2J\r\nyes\x00", "errors": ["\x1b]0;x\x07"]})
    with pytest.raises(ForgeError) as error:
        as_person("ada").user()
    assert words(error).isprintable()


def test_a_redirect_elsewhere_does_not_carry_the_token(github: GitHubServer, as_person: As) -> None:
    """A repository that was renamed is answered by a redirect; another host must learn nothing."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        host = f"http://localhost:{other.getsockname()[1]}"
        github.fail_next(301, {"Location": f"{host}/user"}, {"message": "Moved Permanently"})

        def listen() -> None:
            line, _ = other.accept()
            heard.append(line.recv(65536))
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            line.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        with pytest.raises(ForgeError):
            as_person("ada").user()
        thread.join(5)
    assert heard
    assert b"token-ada" not in b"".join(heard)


def test_two_who_propose_at_once(clone, as_person: As) -> None:
    clone.change("promote/c")
    people = [as_person(login) for login in ("ada", "bo", "ada", "bo")]
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda one: one.open("promote/c", "main", "P", "B"), people))
    assert {one.number for one in opened} == {1}


def test_who_pushes_to_a_protected_main_is_refused(
    github: GitHubServer, clone, as_person: As
) -> None:
    github.repository(NAME).rights["ada"] = "admin"
    project = parse_project("name: abalone\nforge: {kind: github}\n")
    as_person("ada").enforce_rules(forge.derive_forge_rules(project, "main", ()))
    (clone.root / "README.md").write_text("changed\n")
    clone.git("commit", "-qam", "past everybody")
    said = clone.git("push", "origin", "HEAD:main", ok=False)
    assert "GH006" in said or "GH013" in said
