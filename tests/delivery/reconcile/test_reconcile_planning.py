"""The plan is a function of what is wanted and what is there."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from towpath.delivery.reconcile.deployment_record import DeploymentRecord, RecordedApproval
from towpath.delivery.reconcile.reconcile_plan import (
    ActualState,
    BlockedChange,
    DeployVersion,
    DesiredVersion,
    NothingToDo,
    RemoveModel,
    RepairVersion,
    RunningVersion,
    find_stage_changes,
)
from towpath.errors import Fault
from towpath.registry import VersionNumber
from towpath.storage.verified_bytes import BytesState

OLD, NEW = VersionNumber(1, 0, 0), VersionNumber(1, 1, 0)
WANTED = DesiredVersion("abalone", NEW, "aa")
GONE = DesiredVersion("abalone", None, deletion="5f")
HERE = DeploymentRecord(
    "abalone",
    "prod",
    NEW,
    "aa",
    "5f",
    "c0ffee",
    RecordedApproval("recorded"),
    "2026-11-22",
    "files x",
)
FINE = ActualState(BytesState.WHOLE, HERE, RunningVersion("v1.1.0"), NEW, True, "files x")
BEFORE = replace(FINE, deployed=replace(HERE, version=OLD, sha256="bb"))


def _plan(wanted: DesiredVersion | None, actual: ActualState | None) -> Any:
    found = find_stage_changes(
        {"abalone": wanted} if wanted else {}, {"abalone": actual} if actual else {}
    )
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize(
    ("wanted", "actual", "kind", "words"),
    [
        (WANTED, FINE, NothingToDo, "nothing to do: v1.1.0"),
        (WANTED, None, DeployVersion, "deploy v1.1.0"),
        (WANTED, BEFORE, DeployVersion, "deploy v1.1.0 over v1.0.0"),
        (replace(WANTED, sha256="cc"), FINE, DeployVersion, "deploy v1.1.0 over v1.1.0"),
        (GONE, FINE, RemoveModel, "remove v1.1.0"),
        (GONE, replace(FINE, deployed=None), RemoveModel, "remove what is left of it"),
        (GONE, ActualState(tagged=NEW), RemoveModel, "remove what is left of it"),
        (GONE, ActualState(running=RunningVersion(None)), None, ""),
        (
            GONE,
            ActualState(running=RunningVersion("v9.9.9")),
            RemoveModel,
            "remove what is left of it",
        ),
        (None, FINE, None, ""),
        (
            WANTED,
            replace(FINE, bundle=BytesState.ALTERED),
            RepairVersion,
            "repair v1.1.0: its bytes in the stage's store are altered",
        ),
        (
            WANTED,
            replace(FINE, bundle=BytesState.MISSING, tagged=None),
            RepairVersion,
            "repair v1.1.0: its bytes in the stage's store are missing; the stage tag is missing",
        ),
        (
            WANTED,
            replace(FINE, running=RunningVersion("v1.0.0")),
            RepairVersion,
            "repair v1.1.0: the target runs v1.0.0",
        ),
        (
            WANTED,
            replace(FINE, running=RunningVersion(None)),
            RepairVersion,
            "repair v1.1.0: the target runs nothing",
        ),
        (WANTED, replace(FINE, running=None), NothingToDo, "nothing to do: v1.1.0"),
        (
            WANTED,
            replace(FINE, running=RunningVersion("v1.1.0", whole=False)),
            RepairVersion,
            "repair v1.1.0: what the target runs was altered",
        ),
        (
            WANTED,
            replace(FINE, target="files y"),
            RepairVersion,
            "repair v1.1.0: it was deployed to files x, and belongs to files y",
        ),
        (
            WANTED,
            replace(FINE, tagged=OLD),
            RepairVersion,
            "repair v1.1.0: the stage tag names v1.0.0",
        ),
        (
            WANTED,
            replace(FINE, published=False),
            RepairVersion,
            "repair v1.1.0: the stage tag is not on the remote",
        ),
        (
            replace(WANTED, rejected="leaked", way="towpath rollback abalone --stage dev"),
            BEFORE,
            BlockedChange,
            "blocked: abalone@v1.1.0 was rejected: leaked (towpath rollback abalone --stage dev)",
        ),
        (
            replace(WANTED, rejected="leaked"),
            FINE,
            NothingToDo,
            "nothing to do: v1.1.0 (rejected meanwhile: leaked)",
        ),
        (
            DesiredVersion("abalone", None, fault=Fault("torn")),
            FINE,
            BlockedChange,
            "blocked: torn",
        ),
    ],
)
def test_a_change_for_each_difference(
    wanted: DesiredVersion | None, actual: ActualState | None, kind: type | None, words: str
) -> None:
    found = _plan(wanted, actual)
    assert (found is None) if kind is None else isinstance(found, kind)
    assert str(found or "") == words


def test_models_are_sorted_and_do_not_know_one_another() -> None:
    wanted = {name: replace(WANTED, model=name) for name in ("b", "c")}
    found = find_stage_changes(wanted, {"c": FINE, "a": FINE, "b": BEFORE, "z": ActualState()})
    assert [(change.model, change.kind) for change in found] == [
        ("b", "deploy"),
        ("c", "nothing"),
    ]
