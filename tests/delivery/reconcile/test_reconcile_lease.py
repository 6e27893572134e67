"""One at a time for each stage: who waits, who takes over, and what is read under the lease."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from reconcile_children import Children, apply, hold
from reconcile_project import Project
from towpath.delivery.reconcile import lease
from towpath.delivery.reconcile.lease import PATH, Lease
from towpath.errors import StoreError
from towpath.plain_data import list_fields


def test_a_second_reconcile_is_told_who_holds_the_stage(project: Project) -> None:
    version = project.register(b"one")
    project.promote(version, "dev")
    with lease.hold_stage_lease(project.store("dev")):
        day = r"since \d{4}-\d\d-\d\dT\d\d:"
        name = rf"dev is being reconciled by .*@.*, process {os.getpid()} {day}"
        with pytest.raises(StoreError, match=name) as caught:
            project.apply("dev")
        assert caught.value.exit_code == 1
        assert any("it is being reconciled by" in note for note in project.plan("dev").notes)
        assert project.apply("uat").exit_code == 0  # another stage is another's
    assert project.apply("dev").exit_code == 0
    assert lease.find_holder(project.store("dev")) is None


def test_a_lease_waits_for_the_one_before(project: Project, children: Children) -> None:
    store = project.store("dev")
    child = children.start(hold, root=str(project.root), stage="dev", seconds=1.0)
    while lease.find_holder(store) is None:
        time.sleep(0.05)
    with lease.hold_stage_lease(store, patience=10) as mine:
        mine.check()
    assert children.wait(child) == 0


def test_whoever_was_killed_here_holds_nothing_and_elsewhere_until_it_expires(
    project: Project, children: Children
) -> None:
    store = project.store("dev")
    asked = {"root": str(project.root), "stage": "dev", "seconds": -1}
    assert children.run(hold, **asked) == -signal.SIGKILL
    left = store.read(PATH)
    assert left
    with lease.hold_stage_lease(store, patience=0.0):
        pass
    known = Lease(**json.loads(left[0]))
    found = store.read(PATH)
    assert found
    elsewhere = replace(known, machine="another", expires=time.time() + 1.5)
    store.write(PATH, json.dumps(list_fields(elsewhere)).encode(), found[1])
    with (
        pytest.raises(StoreError, match="is being reconciled by"),
        lease.hold_stage_lease(store, patience=0.0),
    ):
        pass
    with lease.hold_stage_lease(store, patience=10.0):
        pass


def test_a_lease_is_renewed_and_one_that_was_lost_stops_the_work(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LASTS", 2.0)  # renewed four times in it
    store = project.store("dev")
    with lease.hold_stage_lease(store) as mine:
        taken = store.read(PATH)
        while (renewed := store.read(PATH)) == taken:
            time.sleep(0.05)
        mine.check()
        assert renewed
        while store.write(PATH, b"{}", renewed[1]) is None:  # somebody takes it away by hand
            renewed = store.read(PATH)
            assert renewed
        end = time.monotonic() + 180
        with pytest.raises(StoreError, match="the lease of dev ended"):
            while time.monotonic() < end:
                mine.check()
                time.sleep(0.05)


def test_main_is_read_under_the_lease(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = project.register(b"one"), project.register(b"two")
    project.promote(first, "dev")
    take = lease._take_lease

    def merged_meanwhile(*given: object) -> object:
        project.promote(second, "dev")  # after reconcile was called, before it has the lease
        monkeypatch.setattr(lease, "_take_lease", take)
        return take(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(lease, "_take_lease", merged_meanwhile)
    applied = project.apply("dev")
    assert [str(change) for change in applied.plan.changes] == [f"deploy {second}"]


def test_a_merge_while_it_runs_is_for_the_next_run(project: Project) -> None:
    first, second = project.register(b"one"), project.register(b"two")
    project.promote(first, "dev")
    moved: list[str] = []

    def listen(_stage: str, _model: str, step: str) -> None:
        if step == "copy" and not moved:
            moved.append(project.promote(second, "dev"))

    applied = project.apply("dev", listener=listen)
    assert [str(one.change) for one in applied.outcomes] == [f"deploy {first}"]
    assert applied.plan.commit != moved[0]
    assert project.said("dev") == {"abalone": f"deploy {second} over {first}"}


def test_two_at_once_do_the_work_once(
    make_project: Callable[..., Project], children: Children
) -> None:
    project = make_project("[dev]")
    project.promote(project.register(b"one"), "dev")
    asked = {"root": str(project.root), "stage": "dev"}
    started = [children.start(apply, **asked) for _ in range(3)]
    assert [children.wait(child) for child in started] == [0, 0, 0]
    tags = project.git("tag", "--list", "abalone#dev*").split()
    assert len(tags) == 1
