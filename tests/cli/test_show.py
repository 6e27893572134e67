"""What `towpath` says of versions: in good standing, rejected, or tagged by a hand that erred."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas
import pytest
from sklearn.linear_model import LinearRegression

from promotion_project import draft
from running import Project, Said
from towpath import registry
from towpath.backends.git import Repository
from towpath.registry import RecordedCode, Registration
from towpath.steps import formats


@pytest.fixture
def model(project: Project, tmp_path: Path) -> Project:
    """A project with one version: a line through two points."""
    table = pandas.DataFrame({"x": [0.0, 1.0]})
    file = tmp_path / "model.skops"
    formats.write_file(LinearRegression().fit(table, [1.0, 3.0]), file, "skops")
    content, head = file.read_bytes(), Repository.open(project.root).head() or ""
    record = draft(
        model="line",
        key=hashlib.sha256(content).hexdigest(),
        artifact=project.store.put(file),
        sha256=hashlib.sha256(content).hexdigest(),
        path="artifacts/training/fit/model.skops",
        kind="skops",
        code=RecordedCode(head),
        labels={"x": "5"},
    )
    registry.register_version(Repository.open(project.root), Registration(record, head, {}))
    return project


def test_a_rejected_version_is_shown_as_one(model: Project) -> None:
    before = model.towpath("show", "line@v1.0.0")
    assert "rejected" not in before.out
    assert said(model, "show", "line@v1.0.0", "--json").json["version"]["rejected"] is None
    model.git("config", "user.name", "Grace Hopper")
    said(model, "reject", "line@v1.0.0", "--reason", "leaked labels")
    assert "rejected: leaked labels (by Grace Hopper)" in said(model, "show", "line@v1.0.0").out
    found = said(model, "show", "line@v1.0.0", "--json").json["version"]
    assert (found["rejected"], found["rejected_by"]) == ("leaked labels", "Grace Hopper")


def test_tags_by_hand_are_no_fault_of_towpath(model: Project) -> None:
    """A date beyond any calendar, facts of another kind, and what Unicode calls a line's end."""
    message = model.write("message", 'by hand\u2028twice\n\ntowpath: {"labels":[1]}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", "@999999999999 +0000")
        model.git("tag", "-a", "line@v1.0.1", "-F", str(message))
        model.git("tag", "-a", "odd\u2028tag", "-m", "a\u2028b")
    assert "9999-12-31T23:59:59Z" in said(model, "models").out
    times = {one["version"]: one["time"] for one in said(model, "models", "--json").json["models"]}
    assert times["v1.0.1"] == "9999-12-31T23:59:59Z"
    found = said(model, "search", 'labels.x == "5"').out
    assert "line@v1.0.0" in found
    assert "line@v1.0.1" not in found


def test_a_light_tag_holds_its_number_and_is_no_version(model: Project) -> None:
    model.git("tag", "other@v1.0.0")
    assert "other" not in said(model, "models").out
    assert "there is no model `other`" in model.towpath("show", "other@v1.0.0").err


def test_rows_that_a_model_refuses_are_no_fault_of_towpath(model: Project, tmp_path: Path) -> None:
    data, out = tmp_path / "holes.csv", tmp_path / "out.csv"
    data.write_text('x\n1\n""\n2\n')
    done = model.towpath("transform", "line@latest", str(data), "-o", str(out))
    assert done.code == 1
    assert "line@v1.0.0 refused the rows of" in done.err
    assert "ValueError: Input X contains NaN" in done.err
    assert not out.exists()


def said(project: Project, *words: str) -> Said:
    """What a command that must succeed says."""
    done = project.towpath(*words)
    assert done.code == 0, done.err
    return done
