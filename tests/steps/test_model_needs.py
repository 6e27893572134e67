"""What a step says at its end of the model that it wrote: what its file will need to be loaded."""

from __future__ import annotations

import pytest

from towpath.steps.model_io import skops_models

LIBRARIES = ("sklearn.preprocessing", "skops.io")
STEPS = """
    from pathlib import Path

    import numpy
    from sklearn.base import BaseEstimator
    from sklearn.preprocessing import FunctionTransformer

    class Own(BaseEstimator):
        pass

    def twice(rows):
        return rows * 2

    def plain():
        return FunctionTransformer(numpy.log1p)

    def own():
        return {"model": Own(), "notes": {"a": 1}}

    def by_function():
        return FunctionTransformer(twice)

    def nameless():
        def inner(rows):
            return rows
        return {"model": FunctionTransformer(lambda rows: rows), "other": [inner, Own()]}

    def into_a_folder(models: Path):
        from towpath.steps.model_io import skops_models as files
        files.dump_model(Own(), models / "a.skops")
        (models / "notes.txt").write_text("no model")
"""
OWN, TWICE = "flows.training.steps.Own", "flows.training.steps.twice"


@pytest.fixture
def project(warm_project):
    """The project of all these tests; of each its own lines."""
    warm_project.lines.clear()
    return warm_project


def facts(project, run, outputs):
    """What is noted of a step's models; its log is in ``project.lines``."""
    made = project.call(project.order(run, outputs))
    return skops_models.read_facts(made.facts)


def needs_lines(project):
    return [line for line in project.lines if "to be loaded" in line or "cannot be" in line]


def test_a_model_that_needs_nothing_is_silent(project):
    assert facts(project, "plain", ["model.skops"]) == ({}, [])
    assert needs_lines(project) == []


@pytest.mark.parametrize("kind", ["processing", "training", "evaluation"])
def test_the_exact_line_of_trust_is_said_by_every_kind(project, kind):
    order = project.order("own", ["model.skops", "notes.json"], kind=kind)
    made = project.call(order)
    assert skops_models.read_facts(made.facts) == ({"model": [OWN]}, [])
    said = f"to be loaded, `model` will need in towpath.yaml: trust: [{OWN}]"
    assert needs_lines(project) == [said]


def test_a_folder_s_models_and_a_function(project):
    assert facts(project, "into_a_folder", ["models/"]) == ({"models": [OWN]}, [])
    assert facts(project, "by_function", ["model.skops"]) == ({"model": [TWICE]}, [])


def test_what_no_trust_helps_is_said_so_that_it_can_be_followed(project):
    needs, nameless = facts(project, "nameless", ["model.skops", "other.skops"])
    assert needs["other"] == [OWN, "flows.training.steps.inner"]
    assert nameless == ["flows.training.steps.<lambda>", "flows.training.steps.inner"]
    first, *others = needs_lines(project)
    assert first == f"to be loaded, `other` will need in towpath.yaml: trust: [{OWN}]"
    assert [line.partition(":")[0] for line in others] == [
        "`model` cannot be loaded", "`other` cannot be loaded",
    ]  # fmt: skip
    assert all("with `def` at the top of flows.training.steps" in line for line in others)


def test_trust_that_suffices_is_silent_and_what_is_there_stays():
    needs = {"fit.model": [OWN, TWICE]}
    assert list(skops_models.tell_needs(needs, [], [TWICE, OWN])) == []
    (line,) = skops_models.tell_needs(needs, [], [TWICE])
    assert line.endswith(f"trust: [{TWICE}, {OWN}]")


@pytest.mark.parametrize("noted", [None, 1, [], {"model": 3}, {"model": [1, None]}])
def test_facts_that_a_stranger_wrote_are_read_all_the_same(noted):
    needs, nameless = skops_models.read_facts({"needs": noted, "nameless": noted})
    assert all(isinstance(name, str) for names in needs.values() for name in names)
    assert all(isinstance(name, str) for name in nameless)
