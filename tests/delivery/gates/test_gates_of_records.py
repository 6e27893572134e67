"""Gates that a version's record answers: metrics, signature, time."""

from __future__ import annotations

import pytest
from msgspec import structs

from towpath.delivery.gates.gate_context import TimeBelow
from towpath.registry import Column, ModelSignature, VersionNumber


def before(desk, **facts):
    """The incumbent."""
    return desk.record(**{"version": VersionNumber(1, 0, 0), **facts})


@pytest.mark.parametrize(
    ("gate", "passed", "bound"),
    [
        ("{kind: metric, metric: mse, at_most: 4.5}", True, "mse at most 4.5"),
        ("{kind: metric, metric: mse, below: 4.5}", False, "mse below 4.5"),
        ("{kind: metric, metric: mse, at_least: 5}", False, "mse at least 5"),
        (
            "{kind: metric, metric: by_sex.F, above: 3, at_most: 4}",
            True,
            "by_sex.F above 3 and at most 4",
        ),
        ("{kind: metric, metric: by_sex.F, above: 3, at_most: 3.5}", False, None),
    ],
)
def test_a_metric_within_bounds(desk, gate, passed, bound):
    verdict = desk.one(gate)
    assert verdict.passed is passed
    assert verdict.value == (4.5 if "mse," in gate else 4.0)
    assert bound is None or verdict.bound == bound
    assert verdict.source == f"towpath.yaml:6 at {desk.base[:7]}"
    assert (verdict.gate, verdict.kind, verdict.when) == ("g", "metric", "review")


@pytest.mark.parametrize(
    ("metrics", "why"),
    [
        ({"msle": 4.5}, "abalone@v1.1.0 has no metric `mse` (did you mean `msle`?)"),
        ({"r2": 4.5}, "abalone@v1.1.0 has no metric `mse` (it has r2)"),
        ({}, "abalone@v1.1.0 has no metric `mse` (it has none)"),
        ({"mse": float("nan")}, "`mse` of abalone@v1.1.0 is nan, which is no number to compare"),
        ({"mse": "inf"}, "`mse` of abalone@v1.1.0 is inf, which is no number to compare"),
        ({"mse": True}, "`mse` of abalone@v1.1.0 is True, which is no number to compare"),
        ({"mse": None}, "`mse` of abalone@v1.1.0 is None, which is no number to compare"),
    ],
)
@pytest.mark.parametrize(
    "gate",
    [
        "{kind: metric, metric: mse, at_most: 6}",
        "{kind: no_worse, metric: mse, better: lower}",
    ],
)
def test_what_cannot_be_compared_has_failed(desk, metrics, why, gate):
    candidate = structs.replace(before(desk, version=VersionNumber(1, 1, 0)), metrics=metrics)
    verdict = desk.one(gate, candidate=candidate)
    assert not verdict.passed
    assert verdict.detail == f"cannot be evaluated: {why}"
    assert verdict.bound in ("mse at most 6", "mse at most the incumbent's")


@pytest.mark.parametrize(
    ("more", "was", "passed", "bound"),
    [
        ("better: lower", 4.5, True, "mse at most 4.5"),
        ("better: lower", 4.4, False, "mse at most 4.4"),
        ("better: lower, by: 0.2", 4.4, True, "mse at most 4.6"),
        ("better: lower, relative: 1%", 4.4, False, "mse at most 4.444"),
        ("better: lower, relative: 0.05", 4.4, True, "mse at most 4.62"),
        ("better: higher", 4.6, False, "mse at least 4.6"),
        ("better: higher, by: 0.2", 4.6, True, "mse at least 4.4"),
        ("better: higher, relative: 5%", -4.6, True, "mse at least -4.83"),
    ],
)
def test_no_worse_than_the_incumbent(desk, more, was, passed, bound):
    gate = f"{{kind: no_worse, metric: mse, {more}}}"
    verdict = desk.one(gate, incumbent=before(desk, metrics={"mse": was}))
    assert (verdict.passed, verdict.bound, verdict.value) == (passed, bound, 4.5)
    assert verdict.detail == f"abalone@v1.0.0 has {was}"


def test_without_an_incumbent_nothing_is_worse(desk):
    verdict = desk.one("{kind: no_worse, metric: mse, better: lower, relative: 5%}")
    assert (verdict.passed, verdict.value) == (True, 4.5)
    assert verdict.bound == "none yet: prod has no incumbent"


def test_an_incumbent_without_the_metric_cannot_be_held_against(desk):
    gate = "{kind: no_worse, metric: mse, better: lower}"
    verdict = desk.one(gate, incumbent=before(desk, metrics={}))
    assert not verdict.passed
    assert "abalone@v1.0.0 has no metric `mse`" in verdict.detail


def test_callers_of_the_incumbent_can_call_the_candidate(desk):
    fits = desk.one("{kind: signature}", incumbent=before(desk))
    assert (fits.passed, fits.value, fits.detail) == (True, "compatible", "with abalone@v1.0.0")
    narrow = ModelSignature((Column("a", "number"),), None)
    breaks = desk.one("{kind: signature}", incumbent=before(desk, signature=narrow))
    assert (breaks.passed, breaks.value) == (False, "1 broken")
    assert breaks.detail == "against abalone@v1.0.0: input b is new"
    alone = desk.one("{kind: signature}")
    assert (alone.passed, alone.bound) == (True, "none yet: prod has no incumbent")


@pytest.mark.parametrize("unknown", [None, ModelSignature(None, None)])
def test_a_signature_that_is_not_known_cannot_be_compatible(desk, unknown):
    verdict = desk.one("{kind: signature}", incumbent=before(desk, signature=unknown))
    assert not verdict.passed
    assert "the record of abalone@v1.0.0 has no signature" in verdict.detail
    candidate = before(desk, version=VersionNumber(1, 1, 0), signature=unknown)
    assert not desk.one("{kind: signature}", candidate=candidate).passed


@pytest.mark.parametrize(
    ("spent", "passed", "value"),
    [
        (86400, True, "24h"),
        (86399, False, "23h 59m"),
        (30, False, "30 s"),
        (300000, True, "3d 11h"),
    ],
)
def test_time_in_the_stage_below(desk, spent, passed, value):
    since = 1_790_000_000 - spent
    verdict = desk.one("{kind: soak, at_least: 24h}", below=TimeBelow(spent, since))
    assert (verdict.passed, verdict.value) == (passed, value)
    assert verdict.bound == "at least 24h in the stage below"
    assert "in uat since 2026-09-" in verdict.detail
    assert ("long enough from" in verdict.detail) is not passed


def test_stays_below_are_put_together_and_one_that_ended_counts_no_further(desk):
    gate, hour, day = "{kind: soak, at_least: 24h}", 3600, 86400
    again = desk.one(gate, below=TimeBelow(13 * hour, 1_790_000_000 - hour))
    assert (again.passed, again.value) == (False, "13h")
    assert ", and 12h before: long enough from 2026-09-22T01:13:20Z on" in again.detail
    left = 1_790_000_000 - 9 * day
    gone = TimeBelow(12 * hour, left - 12 * hour, left)
    for now in (1_790_000_000, 1_790_000_000 + 5 * day):
        verdict = desk.one(gate, below=gone, now=now)
        assert (verdict.passed, verdict.value) == (False, "12h")
        assert verdict.detail.endswith(
            "left uat at 2026-09-12T14:13:20Z, and counts no further: promote it there again"
        )
    assert desk.one(gate, below=TimeBelow(2 * day, left - 2 * day, left)).passed


def test_time_that_nobody_knows_has_not_passed(desk):
    gate = "{kind: soak, at_least: 24h}"
    assert "the version is not in uat" in desk.one(gate).detail
    assert "to come yet" in desk.one(gate, below=TimeBelow(0, 1_790_000_001)).detail
    desk.commit(f"g: {gate}")
    first = desk.context(stage="uat")
    gates = {"uat": first.project.stages["prod"], "prod": first.project.stages["prod"]}
    project = first.project.model_copy(update={"stages": gates})
    verdict = desk.judge(stage="uat", project=project, below=TimeBelow(1_789_999_999, 1))[0]
    assert not verdict.passed
    assert "uat is the first stage" in verdict.detail
