"""What runs and versions made, had again: `towpath get`, and from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import towpath
from running import Project
from towpath.errors import StoreError, UsageError

PICKLING = """\
steps:
  keep:
    run: keep
    outputs:
      kept: {path: kept.bin, format: pickle}
      pages: pages/
  fall:
    run: fall
    inputs: [keep.kept]
    outputs: [never.json]
"""
PICKLING_STEPS = """\
from pathlib import Path


def keep(pages: Path) -> object:
    pages.mkdir(exist_ok=True)
    for name in ("a.txt", "b.txt", "c.txt"):
        (pages / name).write_text("same" if name != "c.txt" else "other")
    return {"one": 1}


def fall(kept: object) -> dict:
    raise ValueError("it fell")
"""


@pytest.fixture
def fallen(loose: Project) -> Project:
    """A project with a run that failed after its first step."""
    loose.declare(PICKLING, PICKLING_STEPS)
    assert loose.run().exit_code == 1
    return loose


def test_an_output_of_a_run_is_copied_and_listed(project: Project, tmp_path: Path) -> None:
    run = project.run()
    listed = project.towpath("get", "last")
    assert [line.split()[0] for line in listed.out.splitlines()[2:]] == [
        "clean.rows",
        "fit.model",
        "score.metrics",
    ]
    target = tmp_path / "mine.json"
    done = project.towpath("get", run.id[-4:], "metrics", "-o", str(target))
    assert (done.code, done.out) == (0, "")
    assert f"{run.id} score.metrics is in {target}" in done.err
    assert json.loads(target.read_text()) == {"error": pytest.approx(7), "rows": 3}

    again = project.towpath("get", "last", "score.metrics", "-o", str(target))
    assert again.code == 2 and "--force replaces it" in again.err
    target.write_text("{}")
    assert project.towpath("get", "last", "score.metrics", "-o", str(target), "--force").code == 0
    assert json.loads(target.read_text())["rows"] == 3
    told = project.towpath("get", "last", "fit.model", "-o", str(tmp_path), "--json").json["copy"]
    assert told["path"] == str(tmp_path / "model.json")
    done = project.towpath("get", "last", "fit.model", "-o", f"{tmp_path}/new/one/")
    assert (tmp_path / "new" / "one" / "model.json").is_file(), done.err


def test_what_is_not_there_is_named_with_what_is(project: Project) -> None:
    run = project.run()
    wrong = project.towpath("get", "last", "score.metric")
    assert wrong.code == 2
    assert f"run {run.id} made no `score.metric`" in wrong.err and "score.metrics" in wrong.err
    assert "no run `2001`" in project.towpath("get", "2001", "x").err
    assert "there is no mean@v9.0.0" in project.towpath("get", "mean@v9.0.0").err
    nothing = project.towpath("get", "mean@v1.0.0", "--output", "scores")
    assert "nothing tells of an output `scores` of mean@v1.0.0" in nothing.err
    assert {nothing.code, project.towpath("get", "mean#prod").code} == {2}
    assert (
        "is a folder" in project.towpath("get", "mean@v1.0.0", "-o", "flows", "--force").err
        or (project.root / "flows" / "model.json").exists()
    )


def test_a_version_s_model_and_what_was_made_beside_it(project: Project, tmp_path: Path) -> None:
    run = project.run()
    project.code("factor * sum(rows)", "1 + factor * sum(rows)")
    project.commit("other code")
    project.run()
    first = tmp_path / "first.json"
    assert project.towpath("get", "mean@v1.0.0", "-o", str(first)).code == 0
    assert json.loads(first.read_text()) == {"mean": 14 / 3}
    for name in ("metrics", "score.metrics"):
        target = tmp_path / f"{name}.json"
        done = project.towpath("get", "mean@v1.0.0", "--output", name, "-o", str(target))
        assert done.code == 0, done.err
        assert json.loads(target.read_text())["error"] == pytest.approx(7)
    for file in (project.workspace.runs / run.id).iterdir():  # without the run's record
        file.unlink() if file.is_file() else None
    there = tmp_path / "there.json"
    done = project.towpath("get", "mean@v1.0.0", "--output", "metrics", "-o", str(there))
    assert done.code == 0 and json.loads(there.read_text())["error"] == pytest.approx(7)


def test_what_was_altered_or_lost_is_never_copied(project: Project, tmp_path: Path) -> None:
    run = project.run()
    held = project.store.path(run.steps["fit"].made.outputs["model"].digest)
    held.chmod(0o644)
    held.write_text('{"mean": 1000000.0}')
    target = tmp_path / "model.json"
    for word in (("mean@v1.0.0",), ("last", "fit.model")):
        done = project.towpath("get", *word, "-o", str(target))
        assert done.code == 1 and "holds other bytes than its record says" in done.err
    held.unlink()
    lost = project.towpath("get", "last", "fit.model", "-o", str(target))
    assert lost.code == 1 and "is not in the project's store" in lost.err
    with pytest.raises(StoreError):
        towpath.load("mean@v1.0.0", project=project.root)
    assert list(tmp_path.glob("*model*")) == []


def test_what_a_failed_run_made(fallen: Project, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    assert fallen.towpath("get", "last", "keep.pages", "-o", str(pages)).code == 0
    assert {path.name: path.read_text() for path in pages.iterdir()} == {
        "a.txt": "same",
        "b.txt": "same",
        "c.txt": "other",
    }
    (tmp_path / "mine.txt").write_text("mine")  # a folder of the user's is filled, never replaced
    (pages / "a.txt").write_text("old")
    assert "pages exists" in fallen.towpath("get", "last", "pages", "-o", str(tmp_path)).err
    forced = fallen.towpath("get", "last", "pages", "-o", str(tmp_path), "--force")
    assert forced.code == 0 and (pages / "a.txt").read_text() == "same"
    assert (tmp_path / "mine.txt").read_text() == "mine"
    nothing = fallen.towpath("get", "last", "fall.never")
    assert nothing.code == 2 and "step `fall`" in nothing.err and "it failed" in nothing.err


def test_python_reads_what_a_run_made(fallen: Project) -> None:
    with pytest.raises(UsageError, match="runs the code that it holds"):
        towpath.read("last", "keep.kept", project=fallen.root)
    assert towpath.read("last", "kept", pickles=True, project=fallen.root) == {"one": 1}
    pages = towpath.read("last", "keep.pages", project=fallen.root)
    assert pages == {"a.txt": b"same", "b.txt": b"same", "c.txt": b"other"}


def test_python_refuses_a_type_that_the_format_does_not_give(project: Project) -> None:
    project.run()
    with pytest.raises(UsageError, match=r"metrics.json is not read as `pandas.Frame` \(as dict, "):
        towpath.read("last", "score.metrics", as_type="pandas.Frame", project=project.root)
    text = towpath.read("last", "score.metrics", as_type="str", project=project.root)
    assert json.loads(str(text))["rows"] == 3


def test_python_loads_versions(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run()
    monkeypatch.chdir(project.root / "flows")
    assert towpath.load("mean@latest") == {"mean": 14 / 3}
    assert towpath.read("mean@v1.0.0", "metrics") == {"error": pytest.approx(7), "rows": 3}
    (version,) = towpath.models()
    assert (str(version), version.metrics["error"]) == ("mean@v1.0.0", pytest.approx(7))
    assert towpath.models("mean") == [version]
    with pytest.raises(UsageError, match="names no version"):
        towpath.load("last")
    with pytest.raises(UsageError, match="no model `mien`"):
        towpath.models("mien")


def test_the_public_names() -> None:
    public = [
        "RegisteredModel",
        "TowpathError",
        "__version__",
        "flow",
        "load",
        "load_inputs",
        "log_metric",
        "models",
    ]
    public.append("read")
    assert sorted(towpath.__all__) == sorted(public)
    assert all(getattr(towpath, name) is not None for name in public)


def test_python_reads_an_output_as_it_is_declared(loose: Project) -> None:
    pipeline = """\
    steps:
      keep:
        run: keep
        outputs: {t: {path: t.csv, separator: ";", decimal: ",", types: {zip: string}}}
    """
    steps = """\
    import pandas

    def keep():
        return pandas.DataFrame({"zip": ["007"], "x": [0.101]})
    """
    loose.write("flows/training/pipeline.yaml", pipeline)
    loose.write("flows/training/steps.py", steps)
    assert loose.run().exit_code == 0
    table = towpath.read("last", "t", project=loose.root)
    assert table.to_dict("records") == [{"zip": "007", "x": 0.101}]
