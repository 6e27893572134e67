"""Searching: what an expression may say, what it finds, and how a wrong one is answered."""

from __future__ import annotations

import pytest

from audit_project import Project, begin
from towpath import registry
from towpath.audit.version_search import SearchHits, search_versions
from towpath.errors import UsageError


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two models beside the story's: one rejected version, an odd parameter, nested metrics."""
    made = begin(tmp_path_factory.mktemp("many") / "abalone")
    made.register(b"1", metrics={"mse": 4.5, "by": {"f1-score": 0.5}}, parameters={"depth": 3})
    made.register(b"2", metrics={"mse": 5.5}, parameters={"depth": "none"}, labels={"team": "a"})
    made.register(
        b"3", metrics={"mse": 6.5, "depth": 1.0}, parameters={"depth": 9, "rate": 0.1},
        labels={"team": "b"}, author="Grace Hopper <grace@example.org>",
        time="2026-01-31T23:00:00Z",
    )  # fmt: skip
    made.register(b"4", model="penguins", metrics={"accuracy": 0.9}, time="2026-02-01T00:00:00Z")
    registry.reject_version(made.repository, "abalone@v1.1.0", "leaked labels")
    return made


def found(project: Project, text: str, *more: object) -> list[str]:
    hits: SearchHits = search_versions(project.repository, text, *more)  # type: ignore[arg-type]
    return [str(version) for version in hits.found]


ONE, TWO, THREE, FOUR = "abalone@v1.0.0", "abalone@v1.1.0", "abalone@v1.2.0", "penguins@v1.0.0"


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("metrics.mse < 5", [ONE]),
        ("mse >= 5.5", [THREE, TWO]),
        ("4 < mse < 6", [TWO, ONE]),
        ("mse * 2 == 9", [ONE]),
        ("-mse < -6", [THREE]),
        ("mse / params.depth < 1", [THREE]),
        ('params.depth < "none" * 3000000000', []),  # text is not worked with, nor is memory
        ('params.depth < "%3000000000d" % 1', []),
        ("params.depth < [1] * 3000000000", []),
        ('metrics.by["f1-score"] == 0.5', [ONE]),
        ('metrics["by.f1-score"] == 0.5', [ONE]),
        ("not mse < 5", [THREE, TWO, FOUR]),  # a comparison with what is not there does not hold
        ("params.depth > 5", [THREE]),
        ('params.depth == "none"', [TWO]),
        ("parameters.rate == 0.1", [THREE]),
        ("rate", None),
        ('labels.team == "a" or team == "b"', [THREE, TWO]),
        ('team in ["a", "c"]', [TWO]),
        ("rejected", [TWO]),
        ("not rejected and mse > 5", [THREE]),
        ('model == "penguins"', [FOUR]),
        ('"pen" in model', [FOUR]),
        ('version >= "v1.1.0"', [THREE, TWO]),
        ('version in ["v1.0.0"]', [ONE, FOUR]),
        ('author == "Grace Hopper"', [THREE]),
        ('author == "grace@example.org"', [THREE]),
        ('"grace" in author', [THREE]),
        ('author != "grace hopper" and mse > 0', [TWO, ONE]),
        ("time <= 2026-01-31", [THREE]),
        ("time >= 2026-02-01 and time < 2026-02-02", [FOUR]),
        ("time == 2026-02-01", [FOUR]),
        ("2026-01-31T22:00:00Z < time < 2026-01-31T23:30", [THREE]),
        ('time > "2026-02-01"', [TWO, ONE]),
        ('kind == "bin" and size == 1 and "steps" in run', []),
    ],
)
def test_what_is_found(many: Project, text: str, versions: list[str] | None) -> None:
    if versions is None:
        with pytest.raises(UsageError, match="neither true nor false"):
            found(many, text)
    else:
        assert sorted(found(many, text)) == sorted(versions)


def test_stages(told: Project) -> None:
    assert found(told, 'stage == "prod"') == ["abalone@v1.0.0"]
    assert found(told, 'stage == "uat" and mse < 5') == ["abalone@v1.1.0"]
    assert found(told, 'stage in ["dev", "prod"]') == ["abalone@v1.1.0", "abalone@v1.0.0"]
    assert found(told, 'stage != "prod"') == ["abalone@v1.1.0", "penguins@v1.0.0"]


def test_order_and_limit(many: Project) -> None:
    assert found(many, "mse > 0", "mse") == [ONE, TWO, THREE]
    assert found(many, "mse > 0", "-metrics.mse", 2) == [THREE, TWO]
    assert found(many, 'model != "x"', "accuracy")[0] == FOUR
    hits = search_versions(many.repository, "mse > 0", "-mse", 1)
    assert (hits.total, hits.searched, hits.columns, hits.values) == (
        3,
        4,
        ("metrics.mse",),
        ((6.5,),),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("metrics.msee < 5", "did you mean `mse`?"),
        ("msee < 5", "did you mean `mse`?"),
        ("modle == 'x'", "did you mean `model`?"),
        ("depth > 3", "write metrics.depth or params.depth"),
        ("mse < 'low'", "are text and a number"),
        ("mse", "compare it"),
        ("__import__('os').system('true')", "a call is not allowed in a search"),
        ("(lambda: 1)() == 1", "a call is not allowed"),
        ("mse if mse else 1", "not allowed"),
        ("mse <", "is no search"),
        ("", "is no search"),
        ("time > 2026-13-01", "`2026-13-01` is no date"),
        ("time > 5", "a time is compared with a date"),
        ("version == 'latest'", "`latest` is no version"),
        ("stage > 'dev'", "stages have no order"),
        ("x" * 3000, "longer than 2000"),
        ("(" * 900 + "rejected" + ")" * 900, "is no search"),
    ],
)
def test_what_is_refused(many: Project, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        found(many, text)
    assert words in str(refused.value)


def test_a_stage_that_runs_nothing_may_be_a_slip(told: Project) -> None:
    with pytest.raises(UsageError, match="did you mean `prod`"):
        found(told, 'stage == "prodd"')


def test_an_empty_registry(empty: Project) -> None:
    assert found(empty, 'model == "x"') == []
