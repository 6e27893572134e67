"""The log of calls (`-vv`, `TOWPATH_LOG`) and `--profile`: what they show and what they hide."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from running import Project
from towpath import call_log, credentials, diagnostics
from towpath.backends.github.connect_forge import connect_forge
from towpath.call_log import log_call
from towpath.cli.render.fault_words import report_error
from towpath.config.project_declaration import Project as Declared
from towpath.credentials import hide_words
from towpath.diagnostics import CallLog, Profile
from towpath.errors import ExitCode

MARK = "Sw0rdf1sh-9d41"
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?P<process>\d+) "
    r"(?P<logger>towpath\.\w+) \d+\.\d{3}s (?P<call>.+)"
)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The lines of a log of this process."""
    monkeypatch.setattr(credentials, "_known", set())
    monkeypatch.setattr(httpx.Client, "send", httpx.Client.send)  # put back afterwards
    tree = logging.getLogger("towpath")
    before = tree.handlers[:], tree.level, tree.propagate
    written: list[str] = []
    diagnostics.start_log([written.append], shows_warnings=True)
    call_log.set_listener(CallLog(None))
    yield written
    call_log.set_listener(None)
    tree.handlers[:], tree.level, tree.propagate = before


def read_calls(text: str) -> list[re.Match[str]]:
    """The calls that a log tells of; the first line of a command is none."""
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    return [match for match in matches if match]


def test_the_terminal_shows_each_call_beside_what_was_asked_for(project: Project) -> None:
    plain = project.towpath("models")
    shown = project.towpath("-vv", "models")
    assert (shown.code, shown.out) == (0, plain.out)
    calls = read_calls(shown.err)
    assert shown.err.count("\n") == len(calls) + 1 + plain.err.count("\n")
    assert {call["logger"] for call in calls} == {"towpath.git"}
    assert any("for-each-ref" in call["call"] and call["call"].endswith("-> 0") for call in calls)
    assert project.towpath("models", TOWPATH_LOG="stderr").err.count("towpath.git") == len(calls)


def test_a_file_takes_the_calls_of_a_run_and_of_its_children(project: Project) -> None:
    first = project.towpath("run", TOWPATH_LOG="calls.log")
    assert first.code == 0, first.err
    assert "towpath.git" not in first.err
    log = project.root / "calls.log"
    assert log.stat().st_mode & 0o077 == 0
    text = log.read_text(encoding="utf-8")
    calls = read_calls(text)
    assert text.count("\n") == len(calls) + 1, "the first line says which command"
    assert {call["logger"] for call in calls} == {
        f"towpath.{kind}" for kind in ("git", "http", "store", "process")
    }
    assert any(call["call"] == "step training fit" for call in calls)
    assert len({call["process"] for call in calls}) > 1, "the steps' processes write to it too"
    project.towpath("models", TOWPATH_LOG="calls.log")
    added = log.read_text(encoding="utf-8")
    assert added.startswith(text)
    assert len(added) > len(text)


def test_the_log_in_the_project_is_no_file_that_a_step_has_read(project: Project) -> None:
    project.towpath("run", TOWPATH_LOG=str(project.root / "data" / "calls.log"))
    assert "calls.log" not in project.towpath("logs", "last").out
    plan = project.plan()
    assert all(plan[step].startswith("reuse") for step in ("clean", "fit", "score")), plan


def test_no_secret_of_an_address_a_variable_or_an_argument_is_told(project: Project) -> None:
    project.git("remote", "add", "origin", f"http://ada:{MARK}@127.0.0.1:9/x.git?sig={MARK}")
    project.declare(
        """
        params:
          key: none
        steps:
          call:
            kind: command
            command: python make.py --api-token {key} {made}
            code: [make.py]
            params: [key]
            outputs: [made.txt]
        """
    )
    project.write("make.py", "import sys; open(sys.argv[3], 'w').write('1')\n")
    log = project.root / "calls.log"
    for words in (["fetch"], ["models"], ["run", "-p", f"key={MARK}"]):
        said = project.towpath("-vv", *words, TOWPATH_LOG=str(log), GITHUB_TOKEN=f"ghp_{MARK}")
        assert MARK not in said.err
    text = log.read_text(encoding="utf-8")
    assert MARK not in text
    assert "--api-token '***'" in text


@pytest.mark.usefixtures("github")
def test_a_request_to_the_forge_is_told_without_its_token(lines: list[str]) -> None:
    declared = {"name": "abalone", "forge": {"kind": "github", "repository": "o/r"}}
    forge = connect_forge(Declared.model_validate(declared))
    assert forge and forge.user() == "ada"
    (line,) = lines
    assert re.search(r"towpath\.http \d+\.\d{3}s GET http://127\.0\.0\.1:\d+/\S*user -> 200", line)
    assert os.environ["GITHUB_TOKEN"] not in line
    assert "Authorization" not in line


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["git", "push", f"https://ada:{MARK}@host/x"], "git push https://host/x"),
        (["curl", "--token", MARK, "x"], "curl --token *** x"),
        (["curl", f"--api-key={MARK}"], "curl --api-key=***"),
        (["env", f"AWS_SECRET_ACCESS_KEY={MARK}", "true"], "env AWS_SECRET_ACCESS_KEY=*** true"),
        (["sh", "-c", f"call --password '{MARK}' now"], "sh -c call --password *** now"),
        (["curl", "-H", f"X-Auth-Token: {MARK}"], "curl -H X-Auth-Token: ***"),
        (["curl", "-H", f"Authorization: Bearer {MARK}"], "curl -H Authorization: Bearer ***"),
        (["login", "ghp_0123456789abcdef0123"], "login ***"),
        (["git", "show", "refs/tags/token-model@v1.0.0"], "git show refs/tags/token-model@v1.0.0"),
        (["git", "config", "--get-regexp", "^remote"], "git config --get-regexp ^remote"),
    ],
)
def test_what_is_secret_in_a_command_is_hidden(words: list[str], shown: str) -> None:
    assert " ".join(hide_words(words)) == shown


def test_the_report_of_a_fault_of_ours_holds_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "-p", f"api_key={MARK}", "-p", "rows=3"]
    assert report_error(RuntimeError("odd"), arguments) == ExitCode.BUG
    said = capsys.readouterr().err
    assert "`towpath -vv run -p api_key=*** -p rows=3`" in said
    assert MARK not in said


@pytest.mark.parametrize("name", ["\x1b]0;owned\x07", "a\n::error::b", "\u202egpj.exe"])
def test_a_hostile_name_does_not_act(project: Project, lines: list[str], name: str) -> None:
    said = project.towpath("-vv", "show", name, CI="true")
    assert said.code == 2, said.err
    log_call("git", "git", name).__enter__().__exit__(None, None, None)
    assert "\n" not in lines[0]
    for text in (said.err, lines[0]):
        assert not set(text) & set("\x1b\x07\u202e")
        assert not [line for line in text.splitlines() if line.startswith("::")]


@pytest.mark.parametrize("destination", ["missing/calls.log", ".", "1", "true", "pipe"])
def test_a_log_that_cannot_be_written_is_an_error_in_words(
    project: Project, destination: str
) -> None:
    os.mkfifo(project.root / "pipe")  # which nobody reads: opened as it is, it would wait for ever
    said = project.towpath("models", TOWPATH_LOG=destination)
    assert said.code == 2
    assert said.err.startswith("error: ")
    assert destination in said.err
    assert "hint: " in said.err
    assert project.towpath("models", "--json", TOWPATH_LOG=destination).json["exit_code"] == 2
    assert project.towpath("--version", TOWPATH_LOG=destination).code == 0


def test_a_warning_is_said_as_without_a_log_and_stands_in_it(
    capsys: pytest.CaptureFixture[str], lines: list[str]
) -> None:
    diagnostics.start_log([lines.append], shows_warnings=False)
    logging.getLogger("towpath.store").warning("odd")
    assert lines[-1].endswith("towpath.store odd")
    assert "odd" in capsys.readouterr().err or logging.getLogger().handlers


def test_a_call_that_was_interrupted_is_told_of(lines: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), log_call("http", "GET", "http://host/"):
        raise KeyboardInterrupt
    assert lines[0].endswith("GET http://host/ -> KeyboardInterrupt")


@pytest.mark.parametrize("words", [["models"], ["models", "nothing"]], ids=" ".join)
def test_the_profile_says_where_the_time_went(project: Project, words: list[str]) -> None:
    plain = project.towpath(*words)
    said = project.towpath("--profile", *words)
    assert (said.code, said.out) == (plain.code, plain.out)
    assert said.err.startswith(plain.err), "it comes at the end"
    rows = dict(re.findall(r"^(\w[\w ()]*?)  +(?:\d+  +)?(\d+\.\d\d)(?: |$)", said.err, re.M))
    parts = [float(seconds) for name, seconds in rows.items() if name != "all"]
    assert {"start of Python", "Git", "the rest"} <= set(rows)
    assert sum(parts) == pytest.approx(float(rows["all"]), abs=0.05)


def test_what_is_nested_counts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(diagnostics.time, "monotonic", lambda: float(next(clock)))
    profile = Profile(begun=0.0, _since=float(next(clock)))
    profile.begin("store")  # at 1
    profile.begin("imports")  # at 2
    profile.end("imports")  # at 3
    profile.end("store")  # at 4
    assert profile.close() == 5
    assert profile.seconds == {"rest": 2, "store": 2, "imports": 1}
    assert profile.counts == {"store": 1, "imports": 1}


def test_nothing_of_it_is_imported_where_nobody_asks(project: Project) -> None:
    assert log_call("git", "git") is log_call("http", "GET")
    words = [sys.executable, "-X", "importtime", "-m", "towpath", "models"]
    done = subprocess.run(words, cwd=project.root, capture_output=True, text=True, check=True)
    assert "towpath.call_log" in done.stderr
    assert "towpath.diagnostics" not in done.stderr
