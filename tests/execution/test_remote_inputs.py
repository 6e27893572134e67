"""Inputs that lie elsewhere: brought by the first run, pinned, and looked at again when asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from command_line import call_dvc
from running import FOLDER, Project, make, states
from towpath.config.pipeline_file import parse_pipeline

STEPS = """\
def count(rows: str) -> dict:
    return {"lines": len(rows.splitlines())}
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which a server gives its files away."""
    folder = tmp_path / "shelf"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def remote_project(folder: Path, address: str) -> Project:
    pipeline = (
        f"inputs:\n  rows: {{from: {address}/rows.txt}}\n"
        "steps:\n  count: {run: count, inputs: [rows], outputs: [lines.json]}\n"
    )
    project = make(folder, {f"{FOLDER}/pipeline.yaml": pipeline, f"{FOLDER}/steps.py": STEPS})
    project.git("init", "-q", "-b", "main")
    return project


def test_it_is_brought_once_pinned_and_looked_at_again_when_asked(
    tmp_path: Path, shelf: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder, address = shelf
    (folder / "rows.txt").write_text("a\nb\n")
    project = remote_project(tmp_path / "counting", address)
    project.commit()
    # A plan brings nothing.
    assert f"after `{address}/rows.txt`" in project.towpath("plan").out
    assert not list((project.root / "data").glob("rows*"))

    run = project.run()
    assert project.output("count/lines.json") == {"lines": 2}
    pointer = (project.root / "data/rows.txt.dvc").read_text()
    assert f"path: {address}/rows.txt" in pointer
    assert (project.root / "data/rows.txt").read_text() == "a\nb\n"
    assert run.sources["rows"]["pointer"] == "data/rows.txt.dvc"
    assert "rows.txt" in (project.root / "data/.gitignore").read_text()

    # What is there now is no business of a run's.
    (folder / "rows.txt").write_text("a\nb\nc\n")
    assert states(project.run()) == {"count": "reused"}
    looked = project.towpath("update", "--dry-run")
    assert "has changed: `towpath update` pins it" in looked.out + looked.err
    assert (project.root / "data/rows.txt.dvc").read_text() == pointer
    updated = project.towpath("update", "rows", "--json")
    assert '"changed": true' in updated.out
    assert states(project.run()) == {"count": "done"}
    assert project.output("count/lines.json") == {"lines": 3}
    assert "is as it was" in project.towpath("update").err
    assert call_dvc(project.root, "status", "data/rows.txt.dvc").returncode == 0

    # Gone from there: what is pinned stays.
    (folder / "rows.txt").unlink()
    gone = project.towpath("update")
    assert (gone.code, "Traceback" in gone.err) == (1, False), gone.err
    assert f"{address}/rows.txt" in gone.err
    assert states(project.run()) == {"count": "reused"}


def test_another_address_asks_for_an_update(
    tmp_path: Path, shelf: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder, address = shelf
    (folder / "rows.txt").write_text("a\n")
    (folder / "other").mkdir()
    (folder / "other/rows.txt").write_text("a\nb\n")
    project = remote_project(tmp_path / "counting", address)
    project.run()
    project.edit(f"{FOLDER}/pipeline.yaml", "/rows.txt", "/other/rows.txt")
    refused = project.towpath("plan")
    assert refused.code == 2
    assert "data/rows.txt.dvc:" in refused.err
    assert "hint: towpath update rows" in refused.err
    # The new address answers nothing: what was there stays.
    (folder / "other/rows.txt").rename(folder / "other/hidden.txt")
    assert project.towpath("update", "rows").code == 1
    assert (project.root / "data/rows.txt").read_text() == "a\n"
    (folder / "other/hidden.txt").rename(folder / "other/rows.txt")
    assert project.towpath("update", "rows").code == 0
    assert sorted(p.name for p in (project.root / "data").iterdir()) == [
        ".gitignore", "raw.json", "rows.txt", "rows.txt.dvc",
    ]  # fmt: skip
    project.run()
    assert project.output("count/lines.json") == {"lines": 2}
    assert "hint: did you mean `rows`?" in project.towpath("update", "row").err


def test_what_was_put_there_by_hand_is_not_taken_for_it(tmp_path: Path) -> None:
    project = remote_project(tmp_path / "counting", "https://example.invalid")
    project.write("data/rows.txt", "mine\n")
    refused = project.towpath("run")
    assert refused.code == 2
    assert "data/rows.txt is not from https://example.invalid/rows.txt" in refused.err
    updated = project.towpath("update")
    assert (updated.code, "put there by hand" in updated.err) == (2, True), updated.err
    assert (project.root / "data/rows.txt").read_text() == "mine\n"
    (project.root / "data/rows.txt").unlink()
    silent = project.towpath("run")
    assert (silent.code, "Traceback" in silent.err) == (1, False), silent.err
    assert "example.invalid" in silent.err
    assert not list((project.root / "data").glob("rows*"))


@pytest.mark.fast
@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("{from: s4://bucket/x}", "nothing is brought from `s4://`"),
        ("{from: bucket/x}", "`bucket/x` is no address"),
        ("{from: 's3://'}", "names nothing to bring"),
        ("{from: 'https://who:secret@x.org/a.csv'}", "the address holds a password or a key"),
        ("{from: 'https://x.org/a.csv?token=abcdef'}", "the address holds a password or a key"),
        ("{from: s3://b/x, path: abalone#prod}", "a model is not brought from an address"),
        ("{from: s3://b/x, path: data/y/}", "must both be folders, or neither"),
        ("{from: 3}", "`from` must be text, not 3"),
        ("s3://bucket/raw.csv", "write `{from: s3://bucket/raw.csv}`"),
    ],
)
def test_an_address_that_is_none_is_a_fault_with_its_line(declared: str, words: str) -> None:
    text = f"inputs:\n  a: {declared}\nsteps:\n  s: {{run: f, inputs: [a], outputs: [o.csv]}}\n"
    faults = parse_pipeline(text, f"{FOLDER}/pipeline.yaml").faults
    assert any(words in str(fault) for fault in faults), faults
    assert all(fault.place and fault.place.line == 2 for fault in faults)
    assert "secret" not in str(faults)
