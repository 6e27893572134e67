"""What ran when, and who let it in: of a story with dates that a person would ask for."""

from __future__ import annotations

import pytest

from audit_project import Project, begin
from towpath import registry
from towpath.audit import stage_history as audit
from towpath.audit.stage_history import HistoryEntry, StageMoment
from towpath.errors import UsageError

EVIDENCE = "registry/evidence/abalone/v1.1.0-prod.md"


@pytest.fixture(scope="session")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Prod takes v1.0.0 in January, v1.1.0 on 1 March at noon, and goes back on the 10th; what
    was merged on the 1st was carried out on the 2nd, and what on the 10th, not yet."""
    made = begin(tmp_path_factory.mktemp("dated") / "abalone")
    made.git("commit", "-q", "--amend", "--no-edit", at="2026-01-02T09:00:00Z")
    _date(made, made.register(b"one", metrics={"mse": 4.5}))
    _date(made, made.register(b"two", metrics={"mse": 4.25}, parameters={"learning_rate": 0.05}))
    _merge(made, "v1.0.0", "2026-01-05T09:00:00Z", "Promote (#7)")
    _deploy(made, "v1.0.0", 1, "2026-01-05T09:05:00Z")
    _merge(made, "v1.1.0", "2026-03-01T12:00:00Z", "Merge pull request #12 from acme/promote")
    _deploy(made, "v1.1.0", 2, "2026-03-02T07:00:00Z", "Where: https://example.org/pull/12")
    _merge(made, "v1.0.0", "2026-03-10T00:00:00Z", "Back")
    return made


def _date(made: Project, version: str) -> None:
    """A version as it would stand there if it had been registered in January."""
    at = "2026-01-03T09:00:00Z"
    tree, parent = made.git("rev-parse", f"{version}^{{tree}}", f"{version}^{{commit}}^").split()
    commit = made.git("commit-tree", tree, "-p", parent, "-m", f"Register {version}", at=at)
    words = made.git("tag", "-l", "--format=%(contents)", version)
    made.git("tag", "-f", "-a", version, "-m", words, commit, at=at)


def _merge(made: Project, version: str, at: str, subject: str) -> None:
    record = registry.get_version(made.repository, f"abalone@{version}").record
    place = "registry/stages/prod/abalone.yaml"
    text = f"model: abalone\nversion: {version}\nsha256: {record.sha256}\n"
    made.git("switch", "-qc", "promote/x")
    made.write(place, text)
    if version == "v1.1.0":
        made.write(EVIDENCE, "It is better.\n")
    made.commit("promote", at=at)
    made.git("switch", "-q", "main")
    made.be("bo")
    words = f"{subject}\n\nPromotion: abalone@{version} -> prod\n"
    words += "Approved-by: Bo Diddley <bo@example.org>\nApproval: recorded\n"
    made.git("merge", "-q", "--no-ff", "-m", words, "promote/x", at=at)
    made.git("branch", "-qD", "promote/x")
    made.be("ada")


def _deploy(made: Project, version: str, number: int, at: str, more: str = "") -> None:
    promotion = made.git("rev-parse", "main")
    words = f"abalone@{version} enters prod\n\nPromotion: {promotion}\nApproval: forge\n{more}"
    words += "\nApproved-by: grace, heidi"
    target = f"abalone@{version}^{{commit}}"
    made.git("tag", "-a", f"abalone#prod#{number}", "-m", words, target, at=at)


def told(project: Project, stage: str | None = None) -> tuple[HistoryEntry, ...]:
    return audit.read_stage_history(project.workspace, "abalone", stage)


def prod(project: Project, when: str) -> StageMoment:
    [moment] = audit.find_stages_at(project.workspace, told(project), when)
    return moment


def names(moment: StageMoment) -> tuple[str | None, str | None]:
    wanted, ran = moment.wanted, moment.ran
    return wanted and wanted.version, ran and ran.version


def test_the_log(dated: Project) -> None:
    first, second, third = told(dated)
    assert [one.version for one in (first, second, third)] == ["v1.0.0", "v1.1.0", "v1.0.0"]
    assert (second.over, second.merged) == ("v1.0.0", "2026-03-01T12:00:00Z")
    assert (second.entered, second.until) == ("2026-03-02T07:00:00Z", "2026-03-10T00:00:00Z")
    assert second.tag == "abalone#prod#2"
    assert second.sha256 == registry.get_version(dated.repository, "abalone@v1.1.0").record.sha256
    # Its tag claims an approval of the forge: whoever may push tags can have written that.
    assert (second.approval.level, second.approval.by) == (
        "recorded",
        ("Bo Diddley <bo@example.org>",),
    )
    assert second.pull_request == "#12"
    assert (first.pull_request, third.pull_request) == ("#7", None)
    assert (second.evidence, third.evidence) == (EVIDENCE, None)
    assert (third.entered, third.until) == (None, None)
    # Nobody has carried it out, so no tag tells: Git does.
    assert (third.approval.level, third.approval.by) == (
        "recorded",
        ("Bo Diddley <bo@example.org>",),
    )


@pytest.mark.parametrize(
    ("when", "wanted", "ran"),
    [
        ("2026-01-04", None, None),
        ("2026-01-05", "v1.0.0", "v1.0.0"),
        ("2026-03-01", "v1.1.0", "v1.0.0"),  # the end of that day: merged, and not deployed yet
        ("2026-03-01T11:59:59Z", "v1.0.0", "v1.0.0"),
        ("2026-03-01T12:00:00Z", "v1.1.0", "v1.0.0"),
        ("2026-03-01T13:00:00+02:00", "v1.0.0", "v1.0.0"),  # 11:00 UTC
        ("2026-03-02", "v1.1.0", "v1.1.0"),
        ("2026-03-09", "v1.1.0", "v1.1.0"),
        ("2026-03-10", "v1.0.0", "v1.1.0"),
        ("2031-01-01", "v1.0.0", "v1.1.0"),
    ],
)
def test_at(dated: Project, when: str, wanted: str | None, ran: str | None) -> None:
    assert names(prod(dated, when)) == (wanted, ran)


@pytest.mark.parametrize("when", ["yesterday", "2026-13-01", "01.03.2026", "2026-02-30", ""])
def test_no_date(dated: Project, when: str) -> None:
    with pytest.raises(UsageError, match="is no date") as refused:
        prod(dated, when)
    assert "2026-03-01" in str(refused.value)


def test_a_model_that_left_ran_nothing(told: Project) -> None:
    entered, left = audit.read_stage_history(told.workspace, "penguins")
    assert (entered.version, left.version, left.over) == ("v1.0.0", None, "v1.0.0")
    [before] = audit.find_stages_at(told.workspace, (entered, left), entered.merged)
    assert before.wanted == entered
    [after] = audit.find_stages_at(told.workspace, (entered, left), str(left.entered))
    assert names(after) == (None, None)


def test_the_story_of_every_stage(told: Project) -> None:
    entries = audit.read_stage_history(told.workspace, "abalone")
    said = [(one.stage, one.version) for one in entries]
    v1, v2 = "v1.0.0", "v1.1.0"
    climbs = [(stage, version) for version in (v1, v2) for stage in ("dev", "uat", "prod")]
    assert said == [*climbs, ("prod", v1)]
    assert all(one.entered and one.evidence for one in entries)
    assert {one.approval.level for one in entries} == {"recorded"}
    assert {one.approval.by for one in entries} == {("Bo Diddley <bo@example.org>",)}
    stages = [
        moment.stage for moment in audit.find_stages_at(told.workspace, entries, "2099-01-01")
    ]
    assert stages == ["dev", "uat", "prod"]
    assert [one.stage for one in audit.read_stage_history(told.workspace, "abalone", "uat")] == [
        "uat",
        "uat",
    ]


def test_what_is_not_there(told: Project, empty: Project) -> None:
    with pytest.raises(UsageError, match=r"no model `abalon`.*did you mean `abalone`"):
        audit.read_stage_history(told.workspace, "abalon")
    with pytest.raises(UsageError, match=r"no stage `prdo`.*did you mean `prod`"):
        audit.read_stage_history(told.workspace, "abalone", "prdo")
    with pytest.raises(UsageError, match="none was registered yet"):
        audit.read_stage_history(empty.workspace, "abalone")
    empty.register(b"one")
    assert audit.read_stage_history(empty.workspace, "abalone") == ()
