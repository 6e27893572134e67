"""Inputs that may be missing, and what stands beside a version, taken again as an input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from running import Project, make, ran, reasons, states
from towpath import registry
from towpath.audit.reproduction import reproduce_version
from towpath.errors import RegistryError, UserError
from towpath.planning.pipeline_check import find_pipeline_faults
from towpath.registry.version_record import parse_version_record, write_version_record
from towpath.storage.verified_bytes import sha256_of
from towpath.versions import push_and_pull

PIPELINE = """\
inputs:
  raw: data/raw.json
  incumbent: {model: mean#prod, optional: true}
  approved: {model: mean#prod, output: seen, optional: true}
  more: {path: data/more.json, optional: true}
steps:
  fit:
    kind: training
    run: fit
    inputs: [raw, incumbent, approved, more]
    outputs: [model.json, seen.json, told.json]
  tell:
    kind: command
    command: python -c "import sys; print(repr(sys.argv[1:]))" {more} {raw}
    inputs: [more, raw]
  register:
    kind: register_model
    as: mean
    inputs: {model: fit.model, numbers: fit.told, more: more}
    beside: {seen: fit.seen, more: more}
"""
STEPS = """\
def fit(raw: list, incumbent: dict | None, approved: list | None, more: list | None) -> dict:
    told = {"model": incumbent, "seen": approved, "more": more}
    return {"model": {"mean": sum(raw)}, "seen": sorted(raw), "told": told}
"""


@pytest.fixture
def told(tmp_path: Path) -> Project:
    """A project whose step takes what it can get, committed, with a remote for each kind."""
    files = {
        "towpath.yaml": f"name: small\nstages: {{prod: {{store: {tmp_path}/prod}}}}\n"
        "policy: {self_approval: true}\n",
        "flows/training/pipeline.yaml": PIPELINE,
        "flows/training/steps.py": STEPS,
        ".dvc/config": f"[core]\n    remote = r\n['remote \"r\"']\n    url = {tmp_path}/r\n",
    }
    project = make(tmp_path / "told", files)
    project.git("init", "-q", "-b", "main")
    project.commit()
    return project


def promote(project: Project, reference: str) -> None:
    """Let main say that prod runs a version, and bring it there."""
    for words in (
        ("promote", reference, "--to", "prod"),
        ("approve", f"promote/{reference.replace('@', '-')}-prod"),
        ("reconcile", "prod", "--apply"),
    ):
        answer = project.towpath(*words)
        assert answer.code == 0, (words, answer)


def test_none_at_first_then_what_the_stage_runs_and_what_stands_beside_it(told: Project) -> None:
    plan = told.towpath("plan").out
    assert re.search(r"incumbent +none +there is no model `mean`", plan)
    assert re.search(r"more +none +there is no data/more.json", plan)
    assert set(told.towpath("plan", "--json").json["absent"]) == {"incumbent", "approved", "more"}
    first = told.run()
    assert first.exit_code == 0, first.error
    assert first.values["fit.told"] == {"model": None, "seen": None, "more": None}
    assert first.inputs["incumbent"] is None and first.inputs["raw"]
    assert first.sources["more"] == {"absent": "there is no data/more.json"}
    assert first.steps["fit"].ingredients["input more"] == "absent"
    log = (told.workspace.runs / first.id / "tell" / "log.txt").read_text()
    assert "['', '/" in log, "a command has an empty word in its place"
    assert ran(told.run()) == set(), "what is missing twice is the same"
    # Stock DVC has no word for what may be missing.
    assert "training-fit" not in (told.root / "dvc.yaml").read_text()

    record = registry.get_version(told.workspace.registry, "mean@v1.0.0").record
    assert list(record.beside) == ["seen"], "what was not there stands beside nothing"
    seen = first.steps["fit"].made.outputs["seen"]
    assert record.beside["seen"].artifact == seen
    assert record.beside["seen"].sha256 == sha256_of(told.store.source, seen)
    assert record.sources["approved"].absent == "there is no model `mean`"
    shown = told.towpath("show", "mean@v1.0.0").out
    assert "seen  seen.json" in shown and "more" in shown and "none: there is no data" in shown
    got = told.towpath("get", "mean@v1.0.0", "seen", "-o", "seen.json")
    assert got.code == 0 and json.loads((told.root / "seen.json").read_text()) == [-3, 1, 2, 4]
    (told.root / "seen.json").unlink()

    promote(told, "mean@v1.0.0")
    told.write("data/more.json", "[9]")
    told.commit("more")
    assert told.plan()["fit"] == "run: input `incumbent` is there now"
    second = told.run()
    assert second.values["fit.told"] == {"model": {"mean": 4}, "seen": [-3, 1, 2, 4], "more": [9]}
    assert second.sources["approved"] == {
        "version": "mean@v1.0.0", "output": "seen", "digest": seen.digest,
    }  # fmt: skip
    assert list(registry.get_version(told.workspace.registry, "mean@latest").record.beside) == [
        "seen", "more",
    ]  # fmt: skip
    compared = told.towpath("compare", "mean@v1.0.0", "mean@latest").out
    assert "beside" in compared

    # A person may ask for none; what a person names must be there.
    without = told.run(inputs={"incumbent": "", "more": ""})
    assert without.values["fit.told"] == {"model": None, "seen": [-3, 1, 2, 4], "more": None}
    assert without.tried == ("incumbent", "more")
    assert "there is no file" in reasons(without)["register"] or without.tried
    with pytest.raises(UserError, match=r"data/mor\.json, which is not there"):
        told.run(inputs={"more": "data/mor.json"})
    with pytest.raises(UserError, match="there is no mean@v9"):
        told.run(inputs={"incumbent": "mean@v9.0.0"})
    # Nor is a slip of the pen taken for a stage that runs nothing.
    told.edit(
        "flows/training/pipeline.yaml",
        "incumbent: {model: mean#prod",
        "incumbent: {model: mean#prd",
    )
    with pytest.raises(UserError, match="there is no stage `prd`") as slip:
        told.run()
    told.git("checkout", "-q", ".")
    assert slip.value.faults[0].hint == "did you mean `prod`?"
    told.edit(
        "flows/training/pipeline.yaml",
        "incumbent: {model: mean#prod",
        "incumbent: {model: mean#prd",
    )
    told.edit(
        "flows/training/pipeline.yaml", "steps:", "for: {b: {inputs: {raw: mean#pord}}}\nsteps:"
    )
    declared = [str(fault) for fault in find_pipeline_faults(told.workspace, "training")]
    assert [words.partition(": `")[0].rpartition(":")[2] for words in declared] == ["3", "6"]
    told.git("checkout", "-q", ".")
    told.edit("flows/training/pipeline.yaml", "output: seen, optional: true", "output: sen")
    with pytest.raises(UserError, match="nothing called `sen` stands beside mean@v1") as near:
        told.run()
    assert near.value.faults[0].hint == "did you mean `seen`?"
    told.git("checkout", "-q", ".")

    remade = reproduce_version(told.workspace, "mean@v1.0.0")
    assert remade.verdict == "bytes", "it is made without the incumbent that there is by now"


def test_a_check_against_the_version_in_prod_makes_no_other_version(told: Project) -> None:
    told.declare(
        """
        inputs: {raw: data/raw.json, approved: {model: mean#prod, output: seen, optional: true}}
        steps:
          fit: {kind: training, run: fit, inputs: [raw], outputs: [model.json]}
          count: {run: count, inputs: [raw, approved], outputs: [seen.json]}
          register: {kind: register_model, as: mean, inputs: [fit.model], beside: [count.seen]}
        """,
        """
        def fit(raw: list) -> dict:
            return {"mean": sum(raw)}

        def count(raw: list, approved: list | None) -> list:
            return sorted(raw)
        """,
    )
    told.commit()
    told.run()
    promote(told, "mean@v1.0.0")
    again = told.run()
    assert ran(again) == {"count"}, reasons(again)
    assert reasons(again)["register"] == "registered as mean@v1.0.0"
    told.write("data/raw.json", "[1, 2]")
    told.commit()
    told.run()
    assert told.tags()[:2] == ["mean#prod#1", "mean@v1.0.0"] and len(told.tags()) == 3


def test_what_stands_beside_travels_and_is_held_against_its_record(told: Project) -> None:
    told.run()
    promote(told, "mean@v1.0.0")
    push_and_pull.push_project(told.workspace).complete()
    seen = registry.get_version(told.workspace.registry, "mean@v1.0.0").record.beside["seen"]
    (kept,) = (told.root.parent / "prod").rglob(seen.artifact.digest[2:])
    assert kept.read_text() == told.store.path(seen.artifact.digest).read_text()
    # Another project takes it, with a store of its own, from the remote.
    other = make(
        told.root.parent / "other",
        {
            "towpath.yaml": "name: other\nregistry: ../told\nstages: [prod]\n",
            "flows/training/pipeline.yaml": (
                "inputs: {seen: {model: mean@v1.0.0, output: seen}}\n"
                "steps: {count: {run: count, inputs: [seen], outputs: [rows.json]}}\n"
            ),
            "flows/training/steps.py": "def count(seen: list) -> dict: return {'n': len(seen)}\n",
            ".dvc/config": (told.root / ".dvc/config").read_text(),
        },
    )
    other.git("init", "-q", "-b", "main")
    other.commit()
    run = other.run()
    assert (states(run)["count"], run.values["count.rows"]) == ("done", {"n": 4}), run.error

    # Other bytes under its name are taken by nobody, and `verify` names them.
    path = told.store.path(seen.artifact.digest)
    path.chmod(0o644)
    path.write_text("[0]")
    findings = told.towpath("verify", "--json").json["verification"]["findings"]
    said = "the bytes of `seen` beside mean@v1.0.0 in the project's store were altered"
    assert [finding["what"] for finding in findings] == [said]


def test_a_record_that_lies_is_damaged_and_nothing_else(told: Project) -> None:
    told.run()
    record = registry.get_version(told.workspace.registry, "mean@v1.0.0").record
    text = write_version_record(record)
    assert parse_version_record(text, "r") == record
    name = record.beside["seen"].artifact.name
    for before, after in (
        (f"name: {name}", "name: ../../etc/passwd"),
        (f"name: {name}", "name: [a]"),
        (record.beside["seen"].sha256, "f00"),
        (record.beside["seen"].artifact.digest, "no digest"),
        (record.beside["seen"].artifact.digest, record.beside["seen"].artifact.digest + ".dir"),
    ):
        assert before in text
        with pytest.raises(RegistryError, match="is damaged"):
            parse_version_record(text.replace(before, after), "r")
    bare = replace(record, beside={})
    assert "beside" not in write_version_record(bare), "an older record is as it was"
