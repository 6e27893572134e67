"""Clones: of a remote that moves, without tags, shallow, offline, and two that race."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconcile_project import Project
from towpath.errors import RegistryError
from towpath.registry import registry_state


@pytest.fixture
def shared(project: Project, tmp_path: Path) -> tuple[Project, Path]:
    """A project whose stages lie beside it, with a bare origin that has its branch and tags."""
    text = "\n".join(f"  {name}: {{store: {tmp_path}/{name}}}" for name in ("dev", "uat", "prod"))
    project.write("towpath.yaml", f"name: shells\nstages:\n{text}\n")
    project.commit("stores")
    origin = tmp_path / "origin.git"
    project.git("init", "-q", "--bare", "-b", "main", str(origin))
    project.git("remote", "add", "origin", str(origin))
    return project, origin


def _push(project: Project) -> None:
    project.git("push", "-q", "origin", "main", "--tags")


def test_what_others_merged_is_fetched_and_the_tag_is_pushed(shared: tuple[Project, Path]) -> None:
    project, origin = shared
    first = project.register(b"one")
    project.promote(first, "dev")
    _push(project)
    other = Project(project.root.parent / "other")
    project.git("clone", "-q", "--no-tags", "--depth", "1", f"file://{origin}", str(other.root))
    assert other.said("dev") == {"abalone": f"deploy {first}"}
    project.apply("dev")
    assert other.said("dev") == {"abalone": f"nothing to do: {first}"}
    second = project.register(b"two")
    project.apply("dev")
    project.promote(second, "dev")
    _push(project)
    project.workspace.store.put_bytes(b"two", "model.bin")
    assert other.said("dev") == {"abalone": f"deploy {second} over {first}"}
    assert len(project.git("ls-remote", "--tags", "origin", "abalone#dev*").splitlines()) == 2


def test_a_shallow_clone_offline_says_so(shared: tuple[Project, Path]) -> None:
    project, origin = shared
    project.promote(project.register(b"one"), "dev")
    _push(project)
    other = Project(project.root.parent / "other")
    project.git("clone", "-q", "--depth", "1", f"file://{origin}", str(other.root))
    other.git("fetch", "-q", "--depth", "1", "--tags")
    applied = other.apply("dev", offline=True)
    assert (applied.exit_code, applied.outcomes[0].words) == (
        1,
        "a shallow clone lacks the promotions before",
    )


def test_a_tagless_clone_offline_is_blocked_not_fooled(shared: tuple[Project, Path]) -> None:
    project, origin = shared
    version = project.register(b"one")
    project.promote(version, "dev")
    _push(project)
    other = Project(project.root.parent / "other")
    project.git("clone", "-q", "--no-tags", f"file://{origin}", str(other.root))
    said = other.said("dev", offline=True)["abalone"]
    assert said.endswith(
        f"abalone@{version}, which this clone does not have "
        f"(towpath fetch; else towpath restore abalone@{version} makes its tag again)"
    )


def test_offline_tags_are_pushed_later_under_the_next_free_number(
    shared: tuple[Project, Path],
) -> None:
    project, origin = shared
    first = project.register(b"one")
    project.promote(first, "dev")
    _push(project)
    other = Project(project.root.parent / "other")
    project.git("clone", "-q", f"file://{origin}", str(other.root))
    project.apply("dev", offline=True)
    taken = f"abalone#dev#{registry_state.next_event_number(other.repository, 'abalone')}"
    other.git("tag", "-a", "-m", "another's", taken, f"abalone@{first}^{{commit}}")
    other.git("push", "-q", "origin", taken)
    assert project.said("dev", offline=True) == {"abalone": f"nothing to do: {first}"}
    applied = project.apply("dev")
    assert applied.exit_code == 0
    assert project.plan("dev").pending == ()
    there = project.git("ls-remote", "--refs", "--tags", "origin", "abalone#dev*")
    mine = project.git(
        "for-each-ref", "--format=%(objectname)\t%(refname)", "refs/tags/abalone#dev*"
    )
    assert sorted(there.splitlines()) == sorted(mine.splitlines())


def test_a_remote_that_is_gone_or_refuses_tags(shared: tuple[Project, Path]) -> None:
    project, origin = shared
    version = project.register(b"one")
    project.promote(version, "dev")
    _push(project)
    hook = origin / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'error: tags are for the robot' >&2\nexit 1\n")
    hook.chmod(0o755)
    applied = project.apply("dev")
    assert applied.exit_code == 1
    assert "tags are for the robot" in applied.outcomes[0].words
    assert project.said("dev") == {"abalone": f"repair {version}: the stage tag is missing"}
    hook.unlink()
    assert project.apply("dev").exit_code == 0
    project.git("remote", "set-url", "origin", str(origin) + "-gone")
    with pytest.raises(RegistryError, match="origin cannot be reached"):
        project.plan("dev")
    assert project.said("dev", offline=True) == {"abalone": f"nothing to do: {version}"}
