"""What a stage's store may hold that no reconcile wrote: it stops one model, and no other."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from reconcile_project import Project, initialised
from towpath.audit.verification import verify_registry
from towpath.backends.git.commit_history import CLOCK_SKEW
from towpath.delivery.reconcile import bundle, deployment_record, lease
from towpath.delivery.reconcile.lease import PATH, Lease
from towpath.errors import Malformed, StoreError
from towpath.plain_data import list_fields

YEAR = 31_536_000.0


@pytest.fixture(scope="module")
def deployed_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two models in dev, both deployed; each test tampers with a copy."""
    root = tmp_path_factory.mktemp("deployed") / "shells"
    made = initialised(root, "{dev: {deploy: {to: files, path: deploy/dev}}}")
    for model in ("abalone", "oyster"):
        version = made.register(f"{model} bytes".encode(), model)
        made.promote(version, "dev", model)
    assert made.apply("dev").exit_code == 0
    return made


@pytest.fixture
def project(deployed_once: Project, tmp_path: Path) -> Project:
    """A copy of it."""
    shutil.copytree(deployed_once.root, tmp_path / "shells", symlinks=True)
    return Project(tmp_path / "shells")


def _lease(**facts: Any) -> bytes:
    now = time.time()
    whole = Lease("mallory@elsewhere", now, now + 60, "ab", "another", 7, 1.0)
    return json.dumps({**list_fields(whole), **facts}).encode()


def _put(project: Project, content: bytes) -> None:
    store = project.store("dev")
    known = store.read(PATH)
    assert store.write(PATH, content, known[1] if known else None)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"3", b"{", b"null", b"[" * 100_000, b"\xff",
        _lease(expires="soon"), _lease(expires=1e308), _lease(expires=-1), _lease(since=[]),
        _lease(process="x"), _lease(process=-1), _lease(process=10**30), _lease(machine=3),
        _lease(owner=None), _lease(more=1), _lease(expires=float("nan")),
    ],
)  # fmt: skip
def test_a_lease_that_is_none_holds_nothing(project: Project, content: bytes) -> None:
    _put(project, content)
    assert lease.find_holder(project.store("dev")) is None
    assert project.apply("dev").exit_code == 0


@pytest.mark.parametrize(
    "facts",
    [
        {"since": -1000.0, "expires": YEAR},
        {"since": YEAR, "expires": 2 * YEAR},
        {"since": 10_000.0, "expires": YEAR},
    ],
)
def test_a_lease_of_a_year_is_not_honoured_for_longer_than_any(
    project: Project, facts: dict[str, float]
) -> None:
    now = time.time()
    _put(project, _lease(**{name: now + seconds for name, seconds in facts.items()}))
    assert lease.find_holder(project.store("dev")) is None
    with lease.hold_stage_lease(project.store("dev"), patience=0.0):
        pass


def test_a_lease_that_was_just_taken_counts_as_long_as_any_and_is_shown_with_its_day(
    project: Project,
) -> None:
    now = time.time()
    _put(project, _lease(since=now, expires=now + YEAR))
    known = lease.find_holder(project.store("dev"))
    assert known is not None and known.ends_at(now) == pytest.approx(now + lease.LASTS)
    day = time.strftime("%Y-%m-%dT", time.gmtime(now + lease.LASTS))
    with pytest.raises(StoreError, match=rf"mallory@elsewhere since \d+-.* \(until {day}") as said:
        project.apply("dev")
    hint = said.value.faults[0].hint
    assert hint and f"delete {PATH} in .towpath/stages/dev" in hint
    (project.root / ".towpath" / "stages" / "dev" / PATH).unlink()  # the way out, as it says
    assert project.apply("dev").exit_code == 0


def test_clocks_that_differ_by_minutes_share_a_stage(project: Project) -> None:
    ahead = time.time() + CLOCK_SKEW - 10
    _put(project, _lease(since=ahead, expires=ahead + lease.LASTS))
    assert lease.find_holder(project.store("dev")) is not None


def _record(project: Project, model: str = "abalone") -> Path:
    return project.root / ".towpath" / "stages" / "dev" / deployment_record.FOLDER / f"{model}.json"


def _changed(content: str, **facts: Any) -> str:
    return json.dumps({**json.loads(content), **facts})


RECORDS: dict[str, Any] = {
    "nothing": lambda _: "",
    "a list": lambda _: "[]",
    "torn": lambda text: text[: len(text) // 2],
    "without end": lambda _: "[" * 100_000,
    "of another model": lambda text: _changed(text, model="oyster"),
    "previous: 3": lambda text: _changed(text, previous=3),
    "previous: [3]": lambda text: _changed(text, previous=[3]),
    "version: 3": lambda text: _changed(text, version=3),
    "sha256: x": lambda text: _changed(text, sha256="x"),
    "md5 is a path": lambda text: _changed(text, md5="../../x"),
    "promotion: --x": lambda text: _changed(text, promotion="--output=x"),
    "approval: 3": lambda text: _changed(text, approval=3),
    "approval.by: bo": lambda text: _changed(text, approval={"level": "signed", "by": "bo"}),
    "time: 3": lambda text: _changed(text, time=3),
    "target: []": lambda text: _changed(text, target=[]),
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_damaged_record_of_one_model_stops_no_other(project: Project, what: str) -> None:
    file = _record(project)
    file.write_text(RECORDS[what](file.read_text()))
    with pytest.raises(Malformed, match="is damaged"):
        deployment_record.read_stored_record(project.store("dev"), "abalone")
    version = project.register(b"newer", "oyster")
    project.promote(version, "dev", "oyster")
    planned = project.said("dev")
    assert planned["abalone"].startswith("blocked: the record towpath/deployed/abalone.json in ")
    assert planned["oyster"].startswith(f"deploy {version}")
    applied = project.apply("dev")
    states = {outcome.change.model: outcome.state for outcome in applied.outcomes}
    assert states == {"abalone": "refused", "oyster": "done"}
    assert "move it out of .towpath/stages/dev" in str(applied.outcomes[0].faults[0].hint)
    file.unlink()  # the way out, as it says
    assert project.apply("dev").exit_code == 0
    assert project.said("dev")["abalone"].startswith("nothing to do")


def test_a_file_that_is_no_models_is_none(project: Project) -> None:
    for name in ("..json", "Sp ace.json", "a\nb.json", ".json", "x.txt"):
        (_record(project).parent / name).write_text("[]")
    assert deployment_record.deployed_models(project.store("dev")) == ("abalone", "oyster")
    assert project.apply("dev").exit_code == 0


def test_a_broken_record_of_a_wanted_version_stops_no_other(project: Project) -> None:
    """The tag of abalone's new version was made by hand, and its record says `metrics: 3`."""
    good = project.record("v1.0.0")
    project.git("checkout", "-q", "--detach", "main")
    project.write("registry/models/abalone/v1.1.0.yaml", "schema: 1\nmodel: abalone\nmetrics: 3\n")
    project.commit("by hand")
    project.git("tag", "-a", "abalone@v1.1.0", "-m", "by hand")
    project.git("checkout", "-q", "main")
    stage_file = f"model: abalone\nversion: v1.1.0\nsha256: {good.sha256}\n"
    project.write("registry/stages/dev/abalone.yaml", stage_file)
    project.commit("wanted")
    version = project.register(b"newer", "oyster")
    project.promote(version, "dev", "oyster")
    assert "registry/models/abalone/v1.1.0.yaml" in project.said("dev")["abalone"]
    applied = project.apply("dev")
    states = {outcome.change.model: outcome.state for outcome in applied.outcomes}
    assert states == {"abalone": "refused", "oyster": "done"}


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"version": 3}', '{"version": "v1.0.0", "files": 3}', "[" * 100_000]
)
def test_a_manifest_at_the_target_that_is_none_is_repaired(project: Project, text: str) -> None:
    folder = project.root / "deploy" / "dev" / "abalone" / "versions" / "v1.0.0"
    (folder / bundle.MANIFEST).write_text(text)
    assert not bundle.is_whole(folder, project.record("v1.0.0", "abalone"), "dev")
    assert project.said("dev")["abalone"].startswith("repair v1.0.0")
    assert project.apply("dev").exit_code == 0
    assert bundle.is_whole(folder, project.record("v1.0.0", "abalone"), "dev")


def test_verify_lists_a_damaged_deployment_record_and_goes_on(project: Project) -> None:
    _record(project).write_text("[]")
    _record(project, "oyster").write_text(
        _changed(_record(project, "oyster").read_text(), sha256="ab" * 32)
    )
    found = verify_registry(project.workspace)
    said = [one.fault.what for one in found.findings if one.check == "deployment"]
    assert len(said) == 2
    assert any("abalone.json" in what and "is damaged" in what for what in said)
    assert any("oyster" in what and "was approved" in what for what in said)
