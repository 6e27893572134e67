"""Promotions as the main branch's log tells them, and the policy as a commit has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from towpath import registry
from towpath.backends.git import Repository
from towpath.errors import DeclarationError, RegistryError
from towpath.registry import VersionNumber, policy_at_commit
from towpath.registry.stage_files import StageFile, write_stage_file

Git = Callable[..., str]
Commit = Callable[..., str]

SHA = "5f" * 32


def stage_file(stage: str, model: str, version: str, replaces: str | None = None) -> str:
    before = VersionNumber.parse(replaces) if replaces else None
    number = VersionNumber.parse(version)
    assert number
    return write_stage_file(StageFile(stage, model, number, SHA, before))


@pytest.fixture
def commit(repository: Repository, git: Git) -> Commit:
    """Commit files by path (None deletes), with a message; the commit."""

    def act(files: Mapping[str, str | None], message: str = "change") -> str:
        for name, text in files.items():
            path = repository.root / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(repository.root, "add", ".")
        git(repository.root, "commit", "-qm", message)
        return git(repository.root, "rev-parse", "HEAD")

    return act


def test_merges_squashes_and_edits_by_hand(
    repository: Repository, git: Git, commit: Commit
) -> None:
    root = repository.root
    dev, prod = "registry/stages/dev/abalone.yaml", "registry/stages/prod/abalone.yaml"
    git(root, "checkout", "-qb", "promote")
    head = commit({dev: stage_file("dev", "abalone", "v1.0.0"), "registry/evidence/a.md": "# A\n"})
    git(root, "checkout", "-q", "main")
    by = "Approved-by: Ada <ada@x>\nApproved-by: Bo <b@x>\nApproval: recorded\n"
    said = f"Merge it\n\nWhy: because\n\n{by}"
    git(root, "merge", "-q", "--no-ff", "-m", said, "promote")
    merge = git(root, "rev-parse", "HEAD")
    squash = commit(
        {
            dev: stage_file("dev", "abalone", "v1.1.0", "v1.0.0"),
            prod: stage_file("prod", "abalone", "v1.0.0"),
            "registry/stages/dev/trout.yaml": stage_file("dev", "trout", "v2.0.0"),
        }
    )
    commit({"steps.py": "second = 2\n"})
    hand = commit({prod: "model: abalone\nversion: v9\n"})
    gone = commit({dev: None})

    found = registry.read_promotions(repository)
    assert [str(one) for one in found] == [
        "abalone@v1.0.0 -> dev",
        "abalone@v1.1.0 -> dev",
        "trout@v2.0.0 -> dev",
        "abalone@v1.0.0 -> prod",
        "abalone (not to be understood) -> prod",
        "abalone (taken out) -> dev",
    ]
    first, second = found[:2]
    assert (first.commit, first.head, first.sha256) == (merge, head, SHA)
    assert first.author == "Ada Lovelace <ada@example.org>"
    assert first.trailers == {
        "approved-by": ("Ada <ada@x>", "Bo <b@x>"),
        "approval": ("recorded",),
    }
    assert (second.commit, second.head, str(second.replaces)) == (squash, None, "v1.0.0")
    assert found[-2].commit == hand
    assert found[-2].fault
    assert (found[-1].commit, found[-1].fault) == (gone, None)
    assert found[-1].path == dev

    assert [one.model for one in registry.read_promotions(repository, model="trout")] == ["trout"]
    assert registry.read_promotions(repository, main=merge) == (first,)
    assert registry.read_promotions(repository, model="*") == ()


def test_what_a_user_configured_changes_nothing(
    repository: Repository, git: Git, commit: Commit
) -> None:
    for key, value in {
        "log.showSignature": "true",
        "log.diffMerges": "off",
        "log.showRoot": "false",
        "diff.renames": "copies",
        "format.pretty": "oneline",
    }.items():
        git(repository.root, "config", key, value)
    commit({"registry/stages/dev/a.yaml": stage_file("dev", "a", "v1.0.0")})
    commit(
        {
            "registry/stages/dev/a.yaml": None,
            "registry/stages/uat/a.yaml": stage_file("uat", "a", "v1.0.0"),
        }
    )
    said = [str(one) for one in registry.read_promotions(repository)]
    assert said == ["a@v1.0.0 -> dev", "a (taken out) -> dev", "a@v1.0.0 -> uat"]


def test_a_shallow_clone_says_so(
    clone: Callable[..., Repository],
) -> None:
    shallow = clone("shallow", "--depth", "1")
    with pytest.raises(RegistryError, match=r"shallow clone .*git fetch --unshallow"):
        registry.read_promotions(shallow)


def test_the_policy_of_a_commit(repository: Repository, commit: Commit) -> None:
    with pytest.raises(RegistryError, match=r"holds no towpath.yaml"):
        policy_at_commit.read_project_at(repository, repository.head() or "")
    old = commit({"towpath.yaml": "name: abalone\n", "sub/towpath.yaml": "name: other\n"})
    new = commit({"towpath.yaml": "name: abalone\npolicy: {ladder: false}\n"})
    bad = commit({"towpath.yaml": "nam: abalone\n"})
    assert policy_at_commit.read_project_at(repository, old).policy.ladder
    assert not policy_at_commit.read_project_at(repository, new).policy.ladder
    assert policy_at_commit.read_project_at(repository, new, "sub").name == "other"
    with pytest.raises(DeclarationError, match="nam"):
        policy_at_commit.read_project_at(repository, bad)
