"""What a form asks for, as the command line would be asked."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.errors import UsageError
from towpath.execution.run_record import Recorder, new_folder
from towpath.studio import action_commands
from towpath.studio.action_commands import (
    ActionOutcome,
    StudioAction,
    carry_out_action,
    find_begun_run,
    read_action,
)


def test_a_value_of_several_lines_is_given_where_it_was_changed_and_only_there() -> None:
    form = {
        "pipeline": "training", "param.query": "a\r\nb", "was.param.query": "a\nb",
        "param.long": "x" * 9000, "was.param.long": "x" * 9000,
        "param.odd": "\u202e", "was.param.odd": "\u202e",
    }  # fmt: skip
    assert read_action("run", form).arguments == ("run", "training")
    changed = read_action("run", {**form, "param.query": "a\r\nc"})
    assert changed.arguments == ("run", "training", "--param", "query=a\nc")
    for value in ("\u202e!", "a\x1b", "x" * 70_000):
        with pytest.raises(UsageError, match=r"param\.odd"):
            read_action("run", {**form, "param.odd": value})


def test_an_answer_is_a_command_with_what_was_filled_in() -> None:
    form = {"token": "ab12", "answer.approved": "true", "answer.note": "", "answer.": "x"}
    assert read_action("answer", form).arguments == ("answer", "ab12", "approved=true", "=x")
    for wrong in ({"answer.--json": "x"}, {"token": "--json"}, {"token": ""}):
        with pytest.raises(UsageError):
            read_action("answer", {"token": "ab12", **wrong})


def test_the_run_that_a_form_began_is_told_from_those_of_others(tmp_path: Path) -> None:
    names = []
    for process, host in ((7, os.uname().nodename), (99, os.uname().nodename), (7, "elsewhere")):
        record = Recorder(new_folder(tmp_path))
        origin = {"pid": process, "host": host}
        record("started", run=record.folder.name, pipeline="p", params={}, inputs={},
               origin=origin, steps={})  # fmt: skip
        record.close()
        names.append(record.folder.name)
    (tmp_path / "20991231-000000-0000").mkdir()
    (tmp_path / "20991231-000000-0000" / "events.jsonl").write_text("{torn")
    assert find_begun_run(tmp_path, (), 7) == names[0]
    assert find_begun_run(tmp_path, names[:1], 7) == ""


def test_a_run_that_is_refused_says_where_the_fault_is(tmp_path: Path) -> None:
    (tmp_path / "towpath.yaml").write_text("name: broken\n")
    pipeline = tmp_path / "flows" / "training" / "pipeline.yaml"
    pipeline.parent.mkdir(parents=True)
    pipeline.write_text("steps: {a: {run: b, inputs: [nope]}}\n")
    action = StudioAction(("run", "training"), goes_on=True)
    outcome = carry_out_action(tmp_path, action)
    assert outcome.code != 0 and not outcome.run
    assert "flows/training/pipeline.yaml:1" in outcome.text
    assert [path.name for path in (tmp_path / ".towpath").glob("studio*")] == []


@pytest.fixture
def acted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ActionOutcome]:
    """Carries out an action whose command is a script of the shell's."""

    def act(script: str) -> ActionOutcome:
        command = tmp_path / "command"
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(command))
        return carry_out_action(tmp_path, StudioAction(("approve", "promote/a")))

    return act


def test_a_command_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, acted: Callable[[str], ActionOutcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where what it started holds its output open."""
    monkeypatch.setattr(action_commands, "_PATIENCE", 0.5)
    begun = time.monotonic()
    outcome = acted(f"sleep 300 & echo $! > '{tmp_path / 'child'}'; echo so far; wait")
    assert time.monotonic() - begun < 10
    assert outcome.code == 1
    assert outcome.text.startswith("so far") and "it was ended after" in outcome.text
    child, end = int((tmp_path / "child").read_text()), time.monotonic() + 10
    while _is_alive(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _is_alive(child)


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_a_command_prints_is_bounded_plain_and_hides_what_is_secret(
    acted: Callable[[str], ActionOutcome],
) -> None:
    much = acted("echo begins; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo ends")
    assert much.text.startswith("begins") and much.text.endswith("ends")
    assert "bytes are left out here" in much.text and len(much.text) < 70_000
    odd = acted("printf '\\033[31mred\\033[0m \\377 https://ada:secret@host/'; exit 3")
    assert (odd.code, odd.text) == (3, "red \ufffd https://host/")


def test_a_command_that_is_killed_or_cannot_begin_says_so(
    acted: Callable[[str], ActionOutcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "it was ended from outside, by signal 9" in acted("kill -9 $$").text
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    outcome = carry_out_action(tmp_path, StudioAction(("run", "a"), goes_on=True))
    assert outcome.code == 1
    assert outcome.text.startswith("nothing was begun: ")
