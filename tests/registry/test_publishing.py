"""Candidates, and the numbers that they get on a remote that many share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath import registry
from towpath.backends.git import Repository, refs, remotes
from towpath.errors import RegistryError, UsageError
from towpath.registry import RecordedBump, RegisteredVersion

Git = Callable[..., str]
Clone = Callable[..., Repository]
Register = Callable[..., RegisteredVersion]


def test_a_story_of_two_clones(
    origin: Path, clone: Clone, git: Git, gto: Git, register: Register
) -> None:
    ada, bob = clone("ada"), clone("bob")
    waiting = register(ada)
    assert (waiting.version, waiting.new, str(waiting)) == (
        None,
        True,
        f"abalone@{waiting.key[:8]}",
    )
    assert register(ada).new is False
    assert refs.list_ref_names(ada, "refs/tags") == ()
    assert refs.list_ref_names(ada, "refs/towpath") == (
        f"refs/towpath/candidates/abalone/{waiting.key[:16]}",
    )
    found = registry.get_version(ada, str(waiting))
    assert (found.version.version, found.record.version) == (None, None)
    with pytest.raises(UsageError, match=rf"{waiting} waits for its number: towpath push"):
        registry.find_version(ada, "abalone@latest")
    with pytest.raises(UsageError, match="has no number yet"):
        registry.reject_version(ada, str(waiting), "wrong")

    register(bob)
    register(bob, "second", data={"raw": "0b" * 16})
    (first,) = registry.publish_registry(ada)
    assert (str(first), first.new) == ("abalone@v1.0.0", True)
    same, second = registry.publish_registry(bob)
    assert (str(same), same.new, same.commit) == ("abalone@v1.0.0", False, first.commit)
    assert (str(second), second.reason) == ("abalone@v1.0.1", "data raw")

    assert registry.fetch_registry(ada) == ("abalone@v1.0.1",)
    for here in (ada, bob, Repository.open(origin)):
        versions = registry.known_model(here, "abalone").versions
        assert [str(one) for one in versions] == ["abalone@v1.0.0", "abalone@v1.0.1"]
        assert refs.list_ref_names(here, "refs/towpath/candidates") == ()
    record = registry.get_version(bob, "abalone@v1.0.1").record
    assert str(record.version) == "v1.0.1"
    names = git(bob.root, "ls-tree", "-r", "--name-only", second.commit).splitlines()
    assert names == ["dvc.yaml", "registry/models/abalone/v1.0.1.yaml", "steps.py"]
    assert git(bob.root, "rev-parse", f"{second.commit}^") == bob.head()
    assert "abalone@v1.0.1" in gto(origin, "show", "abalone@latest", "--json")
    assert registry.publish_registry(ada) == ()


def test_what_was_asked_for_waits_with_the_candidate(clone: Clone, register: Register) -> None:
    ada = clone("ada")
    register(ada)
    register(ada, "second", bump=RecordedBump("major", "asked for"))
    assert [str(one) for one in registry.publish_registry(ada)] == [
        "abalone@v1.0.0",
        "abalone@v2.0.0",
    ]


def test_a_tag_that_is_there_and_not_here(
    origin: Path, clone: Clone, git: Git, register: Register
) -> None:
    ada, bob = clone("ada"), clone("bob", "--no-tags")
    register(ada)
    registry.publish_registry(ada)
    assert remotes.is_tagless(bob)
    register(bob, "second", parameters={})
    (second,) = registry.publish_registry(bob)
    assert str(second) == "abalone@v1.1.0"
    git(origin, "tag", "-d", "abalone@v1.1.0")
    assert [str(one) for one in registry.publish_registry(bob)] == [
        "abalone@v1.1.0"
    ]  # missing there
    assert "abalone@v1.1.0" in git(origin, "tag")


def test_fetching_forgets_a_candidate_that_another_published(
    clone: Clone, register: Register
) -> None:
    ada, bob = clone("ada"), clone("bob")
    register(ada)
    register(bob)
    registry.publish_registry(ada)
    registry.fetch_registry(bob)
    assert refs.list_ref_names(bob, "refs/towpath/candidates") == ()
    assert register(bob).new is False


def test_rejections_travel(origin: Path, clone: Clone, git: Git, register: Register) -> None:
    ada, bob = clone("ada"), clone("bob")
    register(ada)
    registry.publish_registry(ada)
    registry.fetch_registry(bob)
    registry.reject_version(ada, "abalone@v1.0.0", "ada's reason")
    registry.reject_version(bob, "abalone@v1.0.0", "bob's reason")
    registry.publish_registry(ada)
    registry.publish_registry(bob)
    assert git(origin, "tag").splitlines() == ["abalone@v1.0.0", "abalone@v1.0.0!#1"]
    assert registry.find_version(bob, "abalone@v1.0.0").rejected == "ada's reason"
    register(bob)
    (anew,) = registry.publish_registry(bob)
    assert str(anew) == "abalone@v1.0.1"


def test_numbers_from_before_there_was_a_remote(
    repository: Repository, origin: Path, git: Git, register: Register
) -> None:
    register(repository)
    register(repository, "second", parameters={})
    git(repository.root, "remote", "add", "origin", str(origin))
    published = [str(one) for one in registry.publish_registry(repository)]
    assert published == git(origin, "tag").splitlines() == ["abalone@v1.0.0", "abalone@v1.1.0"]
    assert register(repository, "third", parameters={"x": 1}).version is None


def test_one_number_for_two_versions_is_refused(
    repository: Repository, origin: Path, clone: Clone, git: Git, register: Register
) -> None:
    ada = clone("ada")
    register(ada)
    registry.publish_registry(ada)
    register(repository, "other")
    git(repository.root, "remote", "add", "origin", str(origin))
    for act in (registry.publish_registry, registry.fetch_registry):
        with pytest.raises(RegistryError, match="here and on origin are two different") as said:
            act(repository)
        assert "&& git fetch origin '+refs/tags/abalone@v1.0.0:refs/tags/abalone@v1.0.0'" in str(
            said.value
        )
    git(repository.root, "tag", "-d", "abalone@v1.0.0")
    registry.fetch_registry(repository)
    register(repository, "other", parameters={})
    assert [str(one) for one in registry.publish_registry(repository)] == ["abalone@v1.1.0"]


def test_a_persons_own_tags_may_differ(
    origin: Path, clone: Clone, git: Git, register: Register
) -> None:
    ada = clone("ada")
    git(origin, "tag", "nightly", "main")
    git(ada.root, "commit", "-q", "--allow-empty", "-m", "more")
    git(ada.root, "tag", "nightly")
    register(ada)
    assert [str(one) for one in registry.publish_registry(ada)] == ["abalone@v1.0.0"]
    assert registry.fetch_registry(ada) == ()
    assert git(ada.root, "rev-parse", "nightly") == ada.head()


def test_a_remote_that_is_away_leaves_the_candidate(
    origin: Path, clone: Clone, register: Register
) -> None:
    ada = clone("ada")
    register(ada)
    origin.rename(origin.with_name("away"))
    for act in (registry.publish_registry, registry.fetch_registry):
        with pytest.raises(RegistryError, match="origin cannot be reached"):
            act(ada)
    assert len(registry.known_model(ada, "abalone").candidates) == 1
    origin.with_name("away").rename(origin)
    assert [str(one) for one in registry.publish_registry(ada)] == ["abalone@v1.0.0"]


def test_a_remote_that_refuses_for_good(origin: Path, clone: Clone, register: Register) -> None:
    ada = clone("ada")
    register(ada)
    hook = origin / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'error: tags are protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(
        RegistryError, match=r"origin refused abalone@v1\.0\.0: .*hook declined"
    ) as no:
        registry.publish_registry(ada)
    assert "tags are protected" in str(no.value)
    assert "it waits here" in str(no.value)
    hook.unlink()
    assert [str(one) for one in registry.publish_registry(ada)] == ["abalone@v1.0.0"]


def test_without_a_remote_there_is_nowhere_to_push(repository: Repository) -> None:
    for act in (registry.publish_registry, registry.fetch_registry):
        with pytest.raises(UsageError, match="has no remote"):
            act(repository)


def test_a_shallow_clone_publishes_when_told_to(clone: Clone, git: Git, register: Register) -> None:
    ada = clone("ada")
    git(ada.root, "commit", "-q", "--allow-empty", "-m", "more")
    git(ada.root, "push", "-q")
    register(ada)
    registry.publish_registry(ada)
    bob = clone("bob", "--depth", "1")
    register(bob, "second", parameters={})
    assert [str(one) for one in registry.publish_registry(bob)] == ["abalone@v1.1.0"]
    registry.fetch_registry(ada)
    assert registry.get_version(ada, "abalone@v1.1.0").record.parameters == {}


@pytest.mark.parametrize("name", ["abalone@v1.0.0", "abalone@v1.0.0/x"])
def test_a_number_whose_name_another_ref_has_there_is_passed_over(
    origin: Path, clone: Clone, git: Git, register: Register, name: str
) -> None:
    ada = clone("ada")
    register(ada)
    git(origin, "tag", name, "main")
    assert [str(one) for one in registry.publish_registry(ada)] == ["abalone@v2.0.0"]


def test_a_number_that_is_hidden_there_is_named(
    origin: Path, clone: Clone, git: Git, register: Register
) -> None:
    """A ref that a remote keeps to itself cannot be known, and is not tried sixty times."""
    ada = clone("ada")
    register(ada)
    git(origin, "tag", "abalone@v1.0.0", "main")
    git(origin, "config", "uploadpack.hideRefs", "refs/tags")
    with pytest.raises(RegistryError, match=r"origin refused abalone@v1\.0\.0: "):
        registry.publish_registry(ada)
    assert len(registry.known_model(ada, "abalone").candidates) == 1


def test_a_ref_here_that_leaves_no_room_for_a_version_there(
    clone: Clone, git: Git, register: Register
) -> None:
    ada, bob = clone("ada"), clone("bob")
    register(ada)
    registry.publish_registry(ada)
    git(bob.root, "tag", "abalone@v1.0.0/x")
    kept = git(bob.root, "rev-parse", "abalone@v1.0.0/x")
    words = r"not all of origin can be kept here: .*v1\.0\.0/x"
    with pytest.raises(RegistryError, match=words) as crossed:
        registry.fetch_registry(bob)
    hint = str(crossed.value.faults[0].hint)
    assert "tag -d" not in hint
    subprocess.run(hint.partition(" sets ")[0], shell=True, cwd=bob.root, check=True)
    assert registry.fetch_registry(bob) == ("abalone@v1.0.0",)
    assert kept in git(bob.root, "for-each-ref", "refs/towpath/set-aside")


def test_a_hook_of_ones_own_is_not_an_unreachable_remote(clone: Clone, register: Register) -> None:
    ada = clone("ada")
    register(ada)
    hook = ada.common / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'tests fail, no push' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RegistryError, match="refused here") as no:
        registry.publish_registry(ada)
    assert "tests fail, no push" in str(no.value)
    assert "cannot be reached" not in str(no.value)
    hook.unlink()
    assert [str(one) for one in registry.publish_registry(ada)] == ["abalone@v1.0.0"]
