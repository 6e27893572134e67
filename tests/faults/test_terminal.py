"""What strangers wrote reaches a terminal, a CI runner and a page as text, and as nothing else."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import towpath
from promotion_project import PEOPLE, Project, begin, draft
from towpath import registry
from towpath.backends.dvc import Store, initialise_store
from towpath.cli.render import terminal
from towpath.control_characters import disarm_commands, escape_json, show_controls
from towpath.markdown_text import code_block
from towpath.registry import RecordedCode, Registration

#: All that acts: colours, links, the clipboard, the bell, overwriting, C1, bidi, no width, lines.
EVIL = (
    "\x1b[31mX\x1b]8;;http://evil.example\x07L\x1b]8;;\x07\x1b]52;c;QUFB\x07\x1b[2J\x08\b\x7f\rover"
    "\x9b31m\x9d0;t\x9c\x85\u202eR\u202c\u2066i\u2069\u200b\u200d\ufeff\u2028\u2029\u3164"
    "[red]m[/red][link=http://evil.example]n[/link]"
    "\n::error file=a::pwned\n  ::set-output name=a::b\n##[error]pwned"
)
LINE = EVIL.replace("\n", "")  # where Git, or a file's form, keeps no newline
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u3164]")
#: What we write on a terminal ourselves: colours, and lines drawn anew by rich or by a counter.
OURS = re.compile(r"\x1b\[(\d*[A-K]|\?25[lh]|[0-9;]*m)|\r(?=\x1b|pushed |pulled |$)", re.MULTILINE)
POLICY = "name: abalone\nstages:\n  dev:\n  prod: {deploy: {to: files, path: deploy/prod}}\n"

#: Runs many commands in one process, as a person would one after the other; each ends with a mark.
DRIVER = """
import json, sys
from towpath.cli import main
from towpath.cli.render import terminal
terminal.guard_streams()
for words in json.load(open(sys.argv[1])):
    try:
        code = main._run_guarded(words)
    except SystemExit as end:
        code = end.code
    terminal.echo(f"=== {code} {words[0]}", err=True)
"""

COMMANDS = [
    ["models"], ["models", "abalone"], ["show", "abalone@v1.0.0"], ["show", "abalone@v1.1.0"],
    ["show", "penguins@latest"], ["show", "broken@latest"], ["show", EVIL],
    ["compare", "abalone@v1.0.0", "abalone@v1.1.0"],
    ["search", "metrics.mse < 9"], ["search", EVIL], ["history", "abalone"], ["history", EVIL],
    ["history", "abalone", "--at", "2099-01-01"], ["history", "abalone", "--at", EVIL],
    ["lineage", "abalone@v1.0.0"], ["lineage", "abalone@v1.1.0", "--format", "mermaid"],
    ["lineage", "abalone@v1.1.0", "--format", "svg"], ["verify"], ["verify", "--offline"],
    ["doctor"], ["approve"], ["approve", EVIL], ["reconcile"], ["reconcile", "--check"],
    ["reconcile", EVIL],
    ["promote", "abalone@v1.1.0", "--to", "dev", "--description", EVIL],
    ["promote", "abalone@v1.1.0", "--to", EVIL], ["rollback", EVIL, "--stage", EVIL],
    ["check", "--promotion", "--head", "promote/abalone-v1.0.0-dev"], ["check"], ["plan"],
    ["plan", EVIL], ["runs"], ["logs"], ["logs", "last", EVIL], ["diff", "evil-0", "evil-1"],
    ["graph"], ["reject", "abalone@v1.0.0", "--reason", EVIL], ["reject", EVIL, "--reason", EVIL],
    ["transform", "abalone@v1.0.0", "none.csv", "-o", EVIL], ["pull"], ["fetch"],
    ["-C", EVIL, "models"], [EVIL], ["show", f"--{EVIL}"], ["run", "-p", EVIL], ["schema"],
]  # fmt: skip
#: Those that ask the remote, patiently, what it has against a push.
PUSHING = [["-v", "reconcile", "dev", "--apply"], ["push"]]
PAGES = [
    ["reconcile", "--format", "md"], ["promote", "abalone@v1.1.0", "--to", "dev", "--dry-run"],
    ["promote", "abalone@v1.1.0", "--to", "dev", "--format", "md"],
    ["check", "--promotion", "--head", "promote/abalone-v1.1.0-dev", "--format", "md"],
    ["check", "--promotion", "--head", "promote/abalone-\u202e\x9bv1.1.0-prod", "--format", "md"],
]  # fmt: skip
#: With it our own Markdown keeps mentions and addresses of strangers apart; theirs is taken out.
OUR_GAP = {"\u200b"}
AS_JSON = [
    ["models"], ["show", "abalone@v1.1.0"], ["compare", "abalone@v1.0.0", "abalone@v1.1.0"],
    ["search", "metrics.mse < 9"], ["history", "abalone"], ["lineage", "abalone@v1.1.0"],
    ["verify"], ["doctor"], ["reconcile"], ["runs"], ["logs"], ["show", EVIL],
    ["promote", "abalone@v1.1.0", "--to", "dev", "--dry-run"],
]  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """What a number of commands printed, and with which codes they ended."""

    out: str
    err: str
    codes: list[tuple[int, str]]


def evil_facts() -> dict[str, Any]:
    """Every fact of a version that a pipeline may choose freely."""
    return {
        "description": EVIL,
        "metrics": {"mse": 4.0, f"m{EVIL}": 1.0, "words": EVIL},
        "parameters": {"rate": EVIL, f"p{EVIL}": 1},
        "labels": {"team": EVIL, f"l{EVIL}": "x"},
        "data": {f"d{EVIL}": "0a" * 16},
        "packages": {f"k{EVIL}": EVIL},
        "run": f"run{EVIL}",
        "author": f"Mallory {EVIL} <m@example.org>",
        "python": EVIL,
    }


def register(project: Project, content: bytes, model: str = "abalone", **facts: Any) -> None:
    """A version whose bytes are in the store."""
    file = project.root / "artifacts" / "training" / "train" / "model.bin"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    head = project.git("rev-parse", "HEAD")
    record = draft(
        content.decode(), model=model, artifact=Store(project.root).put(file),
        sha256=hashlib.sha256(content).hexdigest(), kind="bin", code=RecordedCode(head, EVIL),
        path="artifacts/training/train/model.bin", **facts,
    )  # fmt: skip
    registry.register_version(project.repository, Registration(record, head, {}))


def record_run(project: Project, name: str) -> None:
    """A run's record and its step's log, as a clone of a stranger's folder may bring them."""
    folder = project.root / ".towpath" / "runs" / name
    (folder / "clean").mkdir(parents=True)
    (folder / "clean" / "log.txt").write_text(EVIL, encoding="utf-8")
    when = EVIL if name == "a-broken" else "2026-11-22T14:42:00.000Z"
    clean = {"event": "step", "step": "clean", "time": when, "state": "failed"}
    events: list[dict[str, Any]] = [
        {"event": "started", "time": when, "run": name, "pipeline": EVIL, "origin": {"host": EVIL},
         "params": {EVIL: name + EVIL}, "inputs": {EVIL: EVIL + name},
         "asked": {"params": {EVIL: EVIL}}, "steps": {"clean": EVIL}},
        {**clean, "reason": EVIL, "error": [EVIL], "made": {"values": {EVIL: {EVIL: EVIL}}}},
        {"event": "finished", "time": when, "state": "failed", "seconds": 1, "exit_code": 1,
         "error": [EVIL]},
    ]  # fmt: skip
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "events.jsonl").write_text(lines, encoding="utf-8")


def plant(root: Path) -> Project:
    """A registry in which whatever may hold a stranger's text does, most of it past Towpath."""
    project = begin(root, POLICY)
    initialise_store(project.root)
    ignored = "/.towpath/\n/deploy/\n/artifacts/\n"
    project.commit({".gitignore": ignored, ".dvc/config": ""}, f"Begin {LINE}")
    register(project, b"one", metrics={"mse": 4.5})
    project.promote("abalone@v1.0.0", "dev")
    register(project, b"two", **evil_facts())
    register(project, b"three", model="penguins", metrics={"mse": 4.4}, description=EVIL)
    register(project, b"four", model="broken", pipeline=EVIL)
    registry.reject_version(project.repository, "penguins@v1.0.0", EVIL)
    # by hand: tags, names, people, subjects, a branch, a stage file, evidence, a declaration
    evil_person = {"GIT_COMMITTER_NAME": f"Mal{LINE}", "GIT_AUTHOR_NAME": f"Mal{LINE}",
                   "GIT_COMMITTER_EMAIL": "m@example.org"}  # fmt: skip
    by_hand(project, evil_person, "tag", "-m", EVIL, "abalone@v1.2.0", "main")
    by_hand(project, evil_person, "tag", "-m", f"Approved-by: {EVIL}", "abalone#dev#7", "main")
    by_hand(project, evil_person, "tag", "-m", EVIL, "ab\u202ealone\x9b@v3.0.0", "main")
    evidence = next((project.root / "registry").rglob("*.md"))
    evidence.write_text(f"{evidence.read_text()}\n{EVIL}\n")
    (project.root / f"name{LINE.replace('/', '')}.py").write_text("")
    step = {LINE: {"run": EVIL, EVIL: 1}}
    declared = json.dumps({"description": EVIL, "steps": step})  # JSON is YAML
    project.write("flows/training/pipeline.yaml", declared)
    project.git("add", "-A")
    by_hand(project, evil_person, "commit", "-qm", f"Take {EVIL}\n\nApproved-by: {EVIL}")
    project.git("checkout", "-qb", "promote/abalone-\u202e\x9bv1.1.0-prod")
    project.commit({"registry/prod/abalone.yaml": f"version: {json.dumps(EVIL)}\n"}, EVIL)
    project.git("checkout", "-q", "main")
    for name in ("evil-0", "evil-1", "a-broken"):
        record_run(project, name)
    return project


def by_hand(project: Project, who: dict[str, str], *words: str) -> None:
    """Git, in the hands of somebody with a strange name."""
    done = subprocess.run(
        ["git", *words], cwd=project.root, env={**os.environ, **who}, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def refuse_pushes(project: Project, folder: Path) -> None:
    """A remote that answers every push with a stranger's words."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    hook = folder / "hooks" / "pre-receive"
    said = EVIL.encode("utf-8").hex()
    hook.write_text(f"#!{sys.executable}\nimport sys\n"
                    f"sys.stderr.buffer.write(bytes.fromhex('{said}'))\nsys.exit(1)\n")  # fmt: skip
    hook.chmod(0o755)
    project.git("remote", "add", "origin", str(folder))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The registry of a stranger."""
    folder = tmp_path_factory.mktemp("hostile")
    project = plant(folder / "abalone")
    refuse_pushes(project, folder / "origin.git")
    return project


def in_pipes(project: Project, commands: list[list[str]], **environment: str) -> Shown:
    """The commands, their streams in pipes."""
    done = subprocess.run(
        driver(project, commands), cwd=project.root, capture_output=True,
        env={**os.environ, "TOWPATH_TRACEBACK": "1", **environment}, timeout=120,
    )  # fmt: skip
    out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    assert done.returncode == 0, err
    return Shown(out, err, codes(err))


def on_a_terminal(project: Project, commands: list[list[str]]) -> str:
    """The commands, both streams one terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        driver(project, commands), cwd=project.root, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "400"},
    )  # fmt: skip
    os.close(theirs)
    shown = b"".join(read_to_the_end(ours))
    assert process.wait(180) == 0, shown
    return shown.decode("utf-8").replace("\r\n", "\n")


def read_to_the_end(descriptor: int) -> Iterator[bytes]:
    """What a terminal shows until its other end is closed."""
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:
            break
        if not chunk:
            break
        yield chunk
    os.close(descriptor)


def driver(project: Project, commands: list[list[str]]) -> list[str]:
    """A process that carries out the commands one after the other."""
    order = project.root.parent / f"commands-{time.monotonic_ns()}.json"
    order.write_text(json.dumps(commands))
    return [sys.executable, "-c", DRIVER, str(order)]


def codes(err: str) -> list[tuple[int, str]]:
    """The exit code of each command, and its verb."""
    return [(int(code), verb) for code, verb in re.findall(r"^=== (\d+) (\S+)", err, re.M)]


def raw(text: str) -> set[str]:
    """What acts in a text."""
    return set(RAW.findall(text))


def test_no_command_prints_what_acts(hostile: Project) -> None:
    commands = COMMANDS + PUSHING
    shown = in_pipes(hostile, commands)
    assert len(shown.codes) == len(commands)
    assert raw(shown.out) == set()
    assert raw(shown.err) == set()
    pages = in_pipes(hostile, PAGES)
    assert raw(pages.out) - OUR_GAP == raw(pages.err) == set()
    assert [verb for code, verb in shown.codes if code == 70] == []
    both = shown.out + shown.err
    assert both.count("␛[31mX␛]8;;http://evil.example␇L") > 25, "it is shown, and not left out"
    assert "[red]m[/red][link=http://evil.example]n[/link]" in both


def test_a_terminal_gets_our_own_colours_alone(hostile: Project) -> None:
    shown = on_a_terminal(hostile, COMMANDS)
    colour = re.compile(r"\x1b\[[0-9;]*m")
    assert colour.search(shown), "this is a terminal, and it is coloured"
    of_logs = shown[shown.index("── clean") : shown.index("=== 0 logs")]
    assert "\x1b[31mX" in of_logs, "a step's own colours stay in its log"
    assert "\x1b[31mX" not in shown.replace(of_logs, "")
    assert raw(OURS.sub("", shown)) == set()


def test_a_ci_runner_gets_no_command_of_a_stranger(hostile: Project) -> None:
    shown = in_pipes(hostile, COMMANDS, CI="true", GITHUB_ACTIONS="true")
    for text in (shown.out, shown.err):
        assert re.findall(r"^\s*::.*", text, re.M) == []
        assert "##[" not in text
        assert raw(text) == set()


def test_a_document_escapes_them_and_says_the_same(hostile: Project) -> None:
    shown = in_pipes(hostile, [[*words, "--json"] for words in AS_JSON], CI="true")
    assert raw(shown.out) == set()
    assert "##[" not in shown.out
    documents = [json.loads(line) for line in shown.out.splitlines()]
    assert len(documents) == len(AS_JSON)
    version = next(d["version"] for d in documents if d["kind"] == "version")
    assert version["description"] == EVIL
    assert version["parameters"]["rate"] == EVIL
    logs = next(d["logs"] for d in documents if d["kind"] == "logs")
    assert logs["steps"]["clean"] == EVIL.replace("\r", "\n")


def test_a_page_holds_nothing_hidden_and_no_trailer_of_a_stranger(hostile: Project) -> None:
    why = "because\n\nApproved-by: Bo Diddley <bo@example.org>\nApproval: signed\r\n\u2028x: y"
    words = ["promote", "abalone@v1.1.0", "--to", "dev", "--description", why + EVIL]
    said = in_pipes(hostile, [["reject", "promote/abalone-v1.1.0-dev", "--reason", "x"], words])
    assert said.codes[-1][0] == 0, said.err
    branch = "promote/abalone-v1.1.0-dev"
    trailers = hostile.git("log", "-1", "--format=%(trailers:only)", branch)
    assert {line.partition(":")[0] for line in trailers.splitlines()} == {
        "Promotion", "Digest", "Replaces",
    }  # fmt: skip
    pages = [name for name in hostile.git("ls-tree", "-r", "--name-only", branch).splitlines()
             if name.endswith(".md") and "v1.1.0" in name]  # fmt: skip
    page = hostile.show(f"{branch}:{pages[0]}")
    assert raw(page) - OUR_GAP == set()
    assert [line for line in page.splitlines() if line.startswith("::")] == []


def test_the_names_of_people_in_messages_make_no_line(hostile: Project) -> None:
    done = hostile.git("log", "--format=%(trailers:only)%n--", "main")
    assert f"Approved-by: {PEOPLE['bo']}" in done
    assert "Approval: recorded" in done


@pytest.mark.parametrize(
    ("letters", "shown"),
    [
        ("\x00\x07\x08\x1b\x7f", "␀␇␈␛␡"),
        ("a\tb\r\nc", "a␉b␍␊c"),
        ("\x85\x9b\xad", "\\x85\\x9b\\xad"),
        ("\u202a\u2069\u2028\ufeff\u061c", "\\u202a\\u2069\\u2028\\ufeff\\u061c"),
        ("\udc1b\U000e0041", "\\udc1b\\U000e0041"),
        ("\u3164\u115f\u2800", "\\u3164\\u115f\\u2800"),
        ("Projékt 日本 — ✓ │ 🙂 a\u3000b", "Projékt 日本 — ✓ │ 🙂 a\u3000b"),
    ],
)
def test_what_hides_is_spelled_and_what_is_read_stays(letters: str, shown: str) -> None:
    assert show_controls(letters) == shown
    assert json.loads(escape_json(json.dumps({"a": letters}, ensure_ascii=False))) == {"a": letters}


def test_every_letter_is_shown_or_spelled() -> None:
    letters = (*range(0x20000), *range(0xE0000, 0xE1000), 0x10FFFF)
    text = show_controls("".join(map(chr, letters)))
    assert "\n" not in text
    assert raw(text) == set()
    assert show_controls(text) == text


@pytest.mark.parametrize(
    ("text", "disarmed"),
    [
        ("::error::x", "\\::error::x"),
        (" \t\u3000::set-output a", " \t\u3000\\::set-output a"),
        ("a\n::add-mask::b\n", "a\n\\::add-mask::b\n"),
        ("a ##[error]b ##vso[task]c", "a #\\#[error]b #\\#vso[task]c"),
        ("std::vector and ## head", "std::vector and ## head"),
    ],
)
def test_a_runner_finds_no_command(text: str, disarmed: str) -> None:
    assert disarm_commands(text) == disarmed


def test_a_fence_holds_what_is_in_it() -> None:
    block = code_block("a\n```\n````\x1b\n# b")
    assert block == "`````\na\n```\n````␛\n# b\n`````"


GUARDED = """
import logging, sys, threading, warnings
from towpath.cli.render import terminal
terminal.guard_streams()
evil = open(sys.argv[1], encoding="utf-8", newline="").read()
warnings.warn(evil)
logging.getLogger("x").warning(evil)
print(evil); print(evil, file=sys.stderr)
def fall(): raise ValueError(evil)
thread = threading.Thread(target=fall); thread.start(); thread.join()
live = terminal.LiveView()
live.start()
print(evil); print(evil, file=sys.stderr); terminal.echo(evil, err=True); live.update(evil)
live.stop(evil)
fall()
"""


def test_what_libraries_print_is_guarded_too(tmp_path: Path) -> None:
    (tmp_path / "evil").write_text(EVIL, encoding="utf-8", newline="")
    command = [sys.executable, "-c", GUARDED, str(tmp_path / "evil")]
    piped = subprocess.run(command, capture_output=True)
    text = (piped.stdout + piped.stderr).decode()
    assert raw(text) == set()
    assert text.count("␛[31mX") >= 8
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = b"".join(read_to_the_end(ours)).decode().replace("\r\n", "\n")
    assert process.wait(180) == 1
    assert "\x1b[31mX" not in shown and "\x1b]" not in shown
    assert raw(OURS.sub("", shown)) == set()


def test_a_logs_concealed_text_is_not_concealed(capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal._CONCEALING.sub("", "\x1b[8mx\x1b[1;8my\x1b[38;5;9mz") == "xy\x1b[38;5;9mz"
    terminal.echo_block("\x1b[31mred\x1b[0m", colours=True)
    assert capsys.readouterr().out == "red\n"


SOURCES = sorted(Path(towpath.__file__).parent.rglob("*.py"))
PRINTING = {
    "echo",
    "secho",
    "style",
    "prompt",
    "confirm",
    "pause",
    "progressbar",
    "Console",
    "Live",
}
#: What runs as a process of its own, whose streams end in a step's log or are an answer by wire.
OWN_PROCESS = {
    *(
        "backends/prefect/server/keeper.py",
        "delivery/gates/gate_process.py",
        "delivery/reconcile/smoke_test.py",
        "sandbox/confinement.py",
        "sandbox/fork_server.py",
        "sandbox/task_process.py",
        "studio/previews/arrow_rows.py",
        # Gives the terminal to a person's own prompt, which needs the streams as they were.
        "execution/step_prompt.py",
    ),
}


def printing(tree: ast.AST) -> Iterator[int]:
    """The lines of a module that print past the door."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in {"print", "input", "Console", "Live"}:
                yield node.lineno
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                if called.value.id in ("click", "rich") and called.attr in PRINTING:
                    yield node.lineno
                if called.attr in ("print_exc", "print_exception", "excepthook"):
                    yield node.lineno
        is_stream = isinstance(node, ast.Attribute) and node.attr in (
            "stdout", "stderr", "__stdout__", "__stderr__",
        )  # fmt: skip
        if is_stream and isinstance(node.value, ast.Name) and node.value.id == "sys":
            yield node.lineno


def test_only_the_door_prints() -> None:
    package = Path(towpath.__file__).parent
    found = {}
    for path in SOURCES:
        name = str(path.relative_to(package))
        if (
            name != "cli/render/terminal.py"
            and name not in OWN_PROCESS
            and not name.startswith("steps/")
        ):
            found[name] = len(list(printing(ast.parse(path.read_text(encoding="utf-8")))))
    # main alone prepares the streams that the door writes on
    assert {name for name, count in found.items() if count} == {"cli/main.py"}
    assert found["cli/main.py"] <= 4


def test_no_line_of_ours_holds_a_newline() -> None:
    """Where a line is printed, a newline is shown as a sign: ours are calls of their own."""
    found = []
    for path in (Path(towpath.__file__).parent / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("say", "echo")
            ):
                parts = (part for word in node.args for part in ast.walk(word))
                found += [
                    f"{path.name}:{part.lineno}"
                    for part in parts
                    if isinstance(part, ast.Constant) and "\n" in str(part.value)
                ]
    assert found == []
