"""Every command that reads the registry, on records, tags, stage files, notes and small files of a
store that anybody may have pushed: findings in words and a documented exit code, never a bug.

One registry is made once. Each example writes other bytes in a place or two of a copy of it, puts
them on main or under a tag, and runs the commands in this process. ``TOWPATH_FUZZ=500`` tries so
many (``make fuzz``); without it a few, and always the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hint_troubles import store_of
from hint_world import EVIDENCE, RECORD, STAGE_FILE, build, copy, towpath
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from audit_project import Project
from own_home import MAIN, move_in
from towpath.delivery.reconcile import lease

TRIES = int(os.environ.get("TOWPATH_FUZZ", "0"))
FEW = 10
MOST = 2000
"""Examples of a long run: one takes a second, where a reader takes a thousandth."""
COMMANDS = (
    ("models",),
    ("show", "abalone@v1.1.0"),
    ("show", "abalone#dev"),
    ("search", "metrics.mse < 5"),
    ("history", "abalone"),
    ("lineage", "abalone@v1.1.0"),
    ("verify",),
    ("plan",),
    ("reconcile", "--check"),
    ("doctor", "--offline"),
)
DOCUMENTED = {0, 1, 2, 3, 4}
ON_MAIN = (
    RECORD,
    STAGE_FILE,
    EVIDENCE,
    "registry/stages/prod/abalone.yaml",
    "registry/stages/dev/penguins.yaml",
    "registry/models/abalone/project.yaml",
    "registry/models/abalone/v9.9.9.yaml",
    "registry/notes/0123456789ab.md",
    "registry/allowed_signers",
    "CODEOWNERS",
    "towpath.yaml",
)
IN_STORE = ("towpath/main.json", lease.PATH, "towpath/deployed/abalone.json",
            "towpath/deployed/penguins.json")  # fmt: skip
TAGS = ("abalone@v1.1.0", "abalone@v1.2.0", "abalone#dev#3", "abalone#prod#1", "abalone@v1.0.0!#2")
ODD = (
    b"", b"\x00", b"\xff\xfe", b"[]", b"{}", b"- - -", b"null", b"[" * 50_000, b"9" * 5_000,
    b"a: &x *x", b"\x1b]0;owned\x07", b"towpath: {}", b"towpath: []", b"@", b"schema: 1\n",
    b"!!python/object:os.system x", "a: \u202e".encode(), b"model: abalone\n" * 3,
)  # fmt: skip
VALUES = (
    b"null", b"-1", b".nan", b".inf", b"1e400", b"[]", b"{a: {b: [1]}}", b"'\\0'", b"../../x",
    b"v1.0.0", b"v99999999999.0.0", b"2099-01-01", b"9" * 400, b'"\\ud800"', b"\xf0\x9f\x90\x9a",
)  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose dev ran v1.0.0 and runs v1.1.0."""
    folder = tmp_path_factory.mktemp("fuzzed commands")
    with pytest.MonkeyPatch.context() as patch:
        move_in(folder / "home", MAIN, patch)
        (folder / "world").mkdir()
        return build(folder / "world")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move_in(tmp_path / "own home", MAIN, monkeypatch)


@st.composite
def changed(draw: st.DrawFn, before: bytes) -> bytes:
    """Bytes in the place of others: something else, torn, or with another value in a line."""
    match draw(st.sampled_from(["value", "value", "value", "odd", "torn", "line", "bytes"])):
        case "odd":
            return draw(st.sampled_from(ODD))
        case "torn":
            return before[: draw(st.integers(0, len(before)))]
        case "bytes":
            return draw(st.binary(max_size=60))
        case "line":
            lines = before.split(b"\n")
            del lines[draw(st.integers(0, len(lines) - 1))]
            return b"\n".join(lines)
    marks = [at for at, byte in enumerate(before) if byte in b":"]
    if not marks:
        return draw(st.sampled_from(ODD))
    at = draw(st.sampled_from(marks)) + 1
    ends = [(before + mark).index(mark, at) for mark in (b"\n", b",")]
    end = min(ends)
    return before[:at] + b" " + draw(st.sampled_from(VALUES)) + before[end:]


def on_main(project: Project, path: str, change: Callable[[bytes], bytes]) -> None:
    """A file of main with other bytes."""
    file = project.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(change(file.read_bytes() if file.exists() else b"model: abalone\n"))
    project.git("add", "-A")
    project.git("commit", "-q", "--allow-empty", "-m", "as anybody may push")


def in_store(project: Project, path: str, change: Callable[[bytes], bytes]) -> None:
    """A small file of dev's store with other bytes."""
    file = store_of(project) / path
    file.write_bytes(change(file.read_bytes() if file.exists() else b"{}"))


def as_tag(project: Project, name: str, change: Callable[[bytes], bytes]) -> None:
    """A tag's object with other bytes, as far as Git takes them."""
    source = name if project.git("tag", "-l", name) else "abalone@v1.0.0"
    before = subprocess.run(
        ["git", "cat-file", "tag", source], cwd=project.root, capture_output=True
    ).stdout
    head, _, message = before.partition(b"\n\n")
    head = head.replace(b"tag abalone@v1.0.0", b"tag " + name.encode())
    done = subprocess.run(
        ["git", "hash-object", "-t", "tag", "-w", "--stdin", "--literally"],
        cwd=project.root, capture_output=True, input=head + b"\n\n" + change(message),
    )  # fmt: skip
    project.git("update-ref", f"refs/tags/{name}", done.stdout.decode().strip(), ok=False)


def as_record(project: Project, name: str, change: Callable[[bytes], bytes]) -> None:
    """A version whose commit holds a record with other bytes."""
    project.git("switch", "-q", "--detach", "abalone@v1.0.0")  # which no attack is upon
    number = name.partition("@")[2]
    folder = project.root / "registry" / "models" / "abalone"
    before = (folder / "v1.0.0.yaml").read_bytes().replace(b"v1.0.0", number.encode())
    (folder / f"{number}.yaml").write_bytes(change(before))
    project.git("add", "-A")
    project.git("commit", "-q", "--allow-empty", "-m", "another record")
    commit = project.git("rev-parse", "HEAD")
    project.git("switch", "-q", "main")
    message = project.git("for-each-ref", "--format=%(contents)", "refs/tags/abalone@v1.0.0")
    project.git("tag", "-f", "-a", "-m", message, f"abalone@{number}", commit)


def test_a_registry_that_nobody_attacked_is_read(world: Project, tmp_path: Path) -> None:
    project = copy(world, tmp_path / "world")
    codes = {words: towpath(project, *words)[0] for words in COMMANDS if words != ("plan",)}
    assert codes == dict.fromkeys(codes, 0)


@settings(
    max_examples=min(TRIES, MOST) or FEW,
    deadline=None,
    database=None,
    derandomize=not TRIES,
    phases=[Phase.generate],  # an example takes a second: to shrink one would take minutes
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_what_anybody_pushed_is_no_bug(
    world: Project, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("pushed") / "world"
    project = copy(world, folder)
    try:
        for _ in range(data.draw(st.integers(1, 2))):
            attack, place = data.draw(
                st.sampled_from(
                    [*((on_main, path) for path in ON_MAIN), *((in_store, p) for p in IN_STORE),
                     *((as_tag, name) for name in TAGS), (as_record, "abalone@v1.1.0"),
                     (as_record, "abalone@v1.2.0")]
                )
            )  # fmt: skip
            attack(project, place, lambda before: data.draw(changed(before)))
        # Each example asks a few: the world is copied more often than all are asked.
        for words in data.draw(st.permutations(COMMANDS))[:4]:
            as_json = words[0] not in ("plan",) and data.draw(st.booleans())
            code, out, err = towpath(project, *words, *(["--json"] if as_json else []))
            assert code in DOCUMENTED, (words, code, err)
            assert "Traceback" not in err
            assert "\x1b]" not in out + err and "\u202e" not in out + err
            if as_json:
                json.loads(out.partition("\n")[0])
    finally:
        shutil.rmtree(folder.parent)
