"""Git objects that a disk lost: what they held is said of that version, and the rest goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_project import Project, begin
from command_line import call_towpath
from own_home import MAIN, CopyWorld, move_in
from towpath import registry
from towpath.delivery import promotion, reconcile
from towpath.errors import RegistryError


def build(folder: Path) -> None:
    made = begin(folder / "abalone", "name: abalone\nstages: [dev]\n")
    for content, model in ((b"one", "abalone"), (b"two", "abalone"), (b"three", "squid")):
        made.register(content, model)
    made.promote("abalone@v1.0.0", "dev")
    made.promote("squid@v1.0.0", "dev")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy_world: CopyWorld) -> Project:
    """Two models in dev; abalone has a second version."""
    move_in(tmp_path / "own home", MAIN, monkeypatch)
    copy_world(build, tmp_path)
    return Project(tmp_path / "abalone")


def lose(project: Project, name: str) -> None:
    """The object of a name is gone."""
    object_ = project.git("rev-parse", name)
    (project.root / ".git/objects" / object_[:2] / object_[2:]).unlink()


def command(project: Project, *words: str) -> tuple[int, str]:
    """A command's exit code, and all that it says."""
    done = call_towpath(project.root, *words)
    return done.returncode, done.stdout + done.stderr


LOST = ["abalone@v1.0.0^{commit}", "refs/tags/abalone@v1.0.0"]


@pytest.mark.parametrize("name", LOST)
def test_one_lost_version_hides_no_other(project: Project, name: str) -> None:
    lose(project, name)
    for words in (["models"], ["show", "squid@v1.0.0"], ["show", "abalone@latest"]):
        code, said = command(project, *words)
        assert (code, "squid@v1.0.0" in said or "abalone@v1.0.1" in said) == (0, True), said
    findings = [one.fault for one in project.verify(offline=True).findings]
    assert findings
    assert {str(fault.place) for fault in findings} <= {"abalone@v1.0.0", "abalone#dev#1"}
    code, said = command(project, "reconcile", "dev")
    assert "squid    nothing to do" in said
    assert "abalone  blocked" in said
    assert "towpath restore abalone@v1.0.0" in said
    assert "towpath fetch" not in said  # there is no remote


def test_a_catalogue_says_which_version_it_cannot_read(project: Project) -> None:
    """As `verify` does; of a rejection, too, for its version would look as good as the others."""
    registry.reject_version(project.repository, "abalone@v1.0.1", "it is biased")
    lose(project, "refs/tags/abalone@v1.0.0")
    words = "the tag abalone@v1.0.0 cannot be read: its object is not in this clone, or is broken"
    for call in (["models"], ["models", "abalone"], ["search", "model == 'abalone'"]):
        code, output = command(project, *call)
        assert (code, output.count(words)) == (0, 1), output
        assert "towpath restore abalone@v1.0.0" in output and "abalone@v1.0.1" in output
    code, output = command(project, "show", "abalone@v1.0.0")
    assert code == 1 and words in output and "towpath restore abalone@v1.0.0" in output
    rejection = next(tag for tag in project.git("tag").split() if tag.startswith("abalone@v1.0.1!"))
    lose(project, f"refs/tags/{rejection}")
    assert f"the tag {rejection} cannot be read" in command(project, "models")[1]


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("model", ["abalone", "squid"])
def test_any_model_can_leave(project: Project, name: str, model: str) -> None:
    lose(project, name)
    project.move(promotion.propose_demotion(project.workspace, model, "dev"))
    outcomes = reconcile.reconcile_stage(project.workspace, "dev").outcomes
    assert any(f"remove {model}" in str(one) or model in str(one) for one in outcomes)
    assert registry.read_stage_files(project.repository).find_stage_file("dev", model) is None


@pytest.mark.parametrize("name", LOST)
def test_another_version_takes_its_place(project: Project, name: str) -> None:
    lose(project, name)
    project.promote("abalone@v1.0.1", "dev")
    assert registry.find_version(project.repository, "abalone#dev").version


def test_the_only_version_without_a_tag_is_no_unknown_model(project: Project) -> None:
    project.git("tag", "-d", "squid@v1.0.0")
    with pytest.raises(RegistryError, match=r"decided upon squid@v1\.0\.0") as refused:
        registry.get_version(project.repository, "squid@v1.0.0")
    assert refused.value.faults[0].hint == "towpath restore squid@v1.0.0 makes its tag again"
    code, said = command(project, "models")
    assert code == 0
    assert "dev should run squid@v1.0.0, which has no tag here: towpath restore squid" in said
    assert command(project, "restore", "squid@v1.0.0")[0] == 0
    assert command(project, "show", "squid@v1.0.0")[0] == 0


def test_a_lost_tag_s_object_is_made_again(project: Project) -> None:
    lose(project, "refs/tags/abalone@v1.0.0")
    code, said = command(project, "restore", "abalone@v1.0.0")
    assert code == 0 and said.startswith("restored abalone@v1.0.0 on "), said
    assert project.found(offline=True) == []
    assert "is as it should be" in command(project, "restore", "abalone@v1.0.0")[1]
