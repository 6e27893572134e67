"""The plan is a function of what is wanted and what is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from towpath.delivery.reconcile.deployment_record import Approved, Deployed
from towpath.delivery.reconcile.reconcile_plan import Actual, Desired, Running, compare
from towpath.delivery.reconcile.stage_changes import Blocked, Deploy, Nothing, Remove, Repair
from towpath.errors import Fault
from towpath.registry import Version
from towpath.storage.verified_bytes import State

OLD, NEW = Version(1, 0, 0), Version(1, 1, 0)
WANTED = Desired("abalone", NEW, "aa")
GONE = Desired("abalone", None, deletion="5f")
HERE = Deployed(
    "abalone", "prod", NEW, "aa", "5f", "c0ffee", Approved("recorded"), "2026-11-22", "files x"
)
FINE = Actual(State.WHOLE, HERE, Running("v1.1.0"), NEW, True, "files x")
BEFORE = replace(FINE, deployed=replace(HERE, version=OLD, sha256="bb"))


def _plan(wanted: Desired | None, actual: Actual | None) -> Any:
    found = compare({"abalone": wanted} if wanted else {}, {"abalone": actual} if actual else {})
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize(
    ("wanted", "actual", "kind", "words"),
    [
        (WANTED, FINE, Nothing, "nothing to do: v1.1.0"),
        (WANTED, None, Deploy, "deploy v1.1.0"),
        (WANTED, BEFORE, Deploy, "deploy v1.1.0 over v1.0.0"),
        (replace(WANTED, sha256="cc"), FINE, Deploy, "deploy v1.1.0 over v1.1.0"),
        (GONE, FINE, Remove, "remove v1.1.0"),
        (GONE, replace(FINE, deployed=None), Remove, "remove what is left of it"),
        (GONE, Actual(tagged=NEW), Remove, "remove what is left of it"),
        (GONE, Actual(running=Running(None)), None, ""),
        (GONE, Actual(running=Running("v9.9.9")), Remove, "remove what is left of it"),
        (None, FINE, None, ""),
        (
            WANTED,
            replace(FINE, bundle=State.ALTERED),
            Repair,
            "repair v1.1.0: its bytes in the stage's store are altered",
        ),
        (
            WANTED,
            replace(FINE, bundle=State.MISSING, tagged=None),
            Repair,
            "repair v1.1.0: its bytes in the stage's store are missing; the stage tag is missing",
        ),
        (
            WANTED,
            replace(FINE, running=Running("v1.0.0")),
            Repair,
            "repair v1.1.0: the target runs v1.0.0",
        ),
        (
            WANTED,
            replace(FINE, running=Running(None)),
            Repair,
            "repair v1.1.0: the target runs nothing",
        ),
        (WANTED, replace(FINE, running=None), Nothing, "nothing to do: v1.1.0"),
        (
            WANTED,
            replace(FINE, running=Running("v1.1.0", whole=False)),
            Repair,
            "repair v1.1.0: what the target runs was altered",
        ),
        (
            WANTED,
            replace(FINE, target="files y"),
            Repair,
            "repair v1.1.0: it was deployed to files x, and belongs to files y",
        ),
        (
            WANTED,
            replace(FINE, tagged=OLD),
            Repair,
            "repair v1.1.0: the stage tag names v1.0.0",
        ),
        (
            WANTED,
            replace(FINE, published=False),
            Repair,
            "repair v1.1.0: the stage tag is not on the remote",
        ),
        (
            replace(WANTED, rejected="leaked", way="towpath rollback abalone --stage dev"),
            BEFORE,
            Blocked,
            "blocked: abalone@v1.1.0 was rejected: leaked (towpath rollback abalone --stage dev)",
        ),
        (
            replace(WANTED, rejected="leaked"),
            FINE,
            Nothing,
            "nothing to do: v1.1.0 (rejected meanwhile: leaked)",
        ),
        (Desired("abalone", None, fault=Fault("torn")), FINE, Blocked, "blocked: torn"),
    ],
)
def test_a_change_for_each_difference(
    wanted: Desired | None, actual: Actual | None, kind: type | None, words: str
) -> None:
    found = _plan(wanted, actual)
    assert (found is None) if kind is None else isinstance(found, kind)
    assert str(found or "") == words


def test_models_are_sorted_and_do_not_know_one_another() -> None:
    wanted = {name: replace(WANTED, model=name) for name in ("b", "c")}
    found = compare(wanted, {"c": FINE, "a": FINE, "b": BEFORE, "z": Actual()})
    assert [(change.model, change.kind) for change in found] == [
        ("b", "deploy"),
        ("c", "nothing"),
    ]
