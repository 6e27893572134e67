"""Entries: what was made from what, believed only when it is whole and comes from whom one asks."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from msgspec.structs import replace
from store_project import Project, entry_of

from towpath.storage.cache_entries import KEPT_RUNS, dump_entry, latest_paths, load_entry

KEY = "5f" + "1c" * 31


def test_an_entry_is_remembered_with_all_that_it_says(project: Project) -> None:
    made = project.store.put(project.write("größe.csv", "1"))
    entry = entry_of(KEY, made)
    project.store.remember(entry)
    assert project.store.entry(KEY) == entry
    assert project.store.entry("0" * 64) is None
    path = project.store.layout.cache / "towpath/entries/5f" / ("1c" * 31 + ".local.json")
    assert json.loads(path.read_text())["schema"] == 1


def test_an_entry_whose_bytes_are_gone_or_wrong_is_a_miss(project: Project) -> None:
    made = project.store.put(project.write("a.csv", "1"))
    project.store.remember(entry_of(KEY, made))
    held = project.store.path(made.digest)
    held.chmod(0o644)
    held.write_bytes(b"2")
    assert project.store.entry(KEY) is None
    assert len(list(project.store.entries(KEY))) == 1
    project.store.put(Path("a.csv"))
    assert project.store.entry(KEY) is not None


def test_a_run_that_trusts_only_ci_reads_only_what_ci_wrote(project: Project) -> None:
    mine = project.store.put(project.write("mine.csv", "1"))
    theirs = project.store.put(project.write("theirs.csv", "2"))
    project.store.remember(entry_of(KEY, mine))
    assert project.store.entry(KEY, writers=("ci",)) is None
    project.store.remember(entry_of(KEY, theirs, writer="ci"))
    project.store.remember(entry_of(KEY, mine))
    for writers in (("ci",), ("ci", "local")):
        entry = project.store.entry(KEY, writers)
        assert entry is not None
        assert entry.writer == "ci"


def test_an_entry_that_claims_another_writer_or_key_than_its_file_is_a_miss(
    project: Project,
) -> None:
    made = project.store.put(project.write("a.csv", "1"))
    path = project.store.cached_entries.path(KEY, "ci")
    path.parent.mkdir(parents=True)
    for other in (entry_of(KEY, made), entry_of("ab" * 32, made, writer="ci")):
        path.write_text(dump_entry(other))
        assert project.store.entry(KEY) is None


def test_a_torn_entry_is_a_miss_at_every_byte(project: Project) -> None:
    whole = dump_entry(entry_of(KEY, project.store.put(project.write("a.csv", "1")))).encode()
    assert load_entry(whole) is not None
    assert [cut for cut in range(len(whole)) if load_entry(whole[:cut]) is not None] == []


BROKEN = {
    "another schema": lambda said: {**said, "schema": 2},
    "no schema": lambda said: {k: v for k, v in said.items() if k != "schema"},
    "more than we know": lambda said: {**said, "colour": "red"},
    "less than we need": lambda said: {k: v for k, v in said.items() if k != "made"},
    "a list": lambda said: [said],
    "no digest": lambda said: _with_output(said, digest="../../etc/passwd"),
    "no size": lambda said: _with_output(said, size="1"),
    "a path for a name": lambda said: _with_output(said, name="../x"),
    "ingredients that are none": lambda said: {**said, "ingredients": ["x"]},
}


def _with_output(said: dict, **change: object) -> dict:  # type: ignore[type-arg]
    output = {**said["result"]["outputs"]["a.csv"], **change}
    return {**said, "result": {**said["result"], "outputs": {"a.csv": output}}}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_not_an_entry_is_a_miss(project: Project, broken: str) -> None:
    said = json.loads(dump_entry(entry_of(KEY, project.store.put(project.write("a.csv", "1")))))
    assert load_entry(json.dumps(said).encode()) is not None
    assert load_entry(json.dumps(BROKEN[broken](said)).encode()) is None


def test_numbers_that_are_none_survive() -> None:
    entry = entry_of(KEY)
    entry = replace(entry, result=replace(entry.result, values={"metrics": {"mse": math.nan}}))
    found = load_entry(dump_entry(entry).encode())
    assert found is not None
    value = found.result.values["metrics"]
    assert isinstance(value, dict)
    assert math.isnan(value["mse"])  # type: ignore[arg-type]


def test_a_key_that_is_no_digest_is_our_own_fault(project: Project) -> None:
    with pytest.raises(ValueError, match="not an entry's key"):
        project.store.remember(entry_of("../../x"))


def test_what_was_made_last_is_kept_for_each_writer(project: Project) -> None:
    """CI believes CI's alone: runs by hand must not push its runs out."""
    made = project.store.put(project.write("a.csv", "1"))
    last = project.store.last_made
    runs = [(f"20260101-0000{n:02}-0000", "local" if n else "ci") for n in range(25)]
    for run, writer in runs:
        last.write(replace(entry_of(KEY, made), made_by=run, writer=writer))
    assert [entry.made_by for entry in last.read(KEY, ("ci",))] == [runs[0][0]]
    assert len(list(last.read(KEY, ("local",)))) == KEPT_RUNS
    paths = [f"{KEY[:2]}/{KEY[2:]}/{run}.{writer}.json" for run, writer in runs]
    assert len(latest_paths([*paths, "strange"])) == KEPT_RUNS + 1
