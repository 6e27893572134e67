"""What a form asks for, as the command line would be asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from towpath.errors import UsageError
from towpath.execution.run_record import Recorder, new_folder
from towpath.studio.action_commands import (
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
