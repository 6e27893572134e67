"""A version's life in one repository: registered, numbered, found, compared, rejected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from pydantic_core import PydanticCustomError

from towpath import registry
from towpath.backends.git import Repository, hold_lock, refs
from towpath.config import names_and_paths
from towpath.errors import RegistryError, UsageError, UserError
from towpath.registry import (
    Column,
    ModelSignature,
    RecordedBump,
    RecordedCode,
    RegisteredVersion,
    Registration,
    VersionRecord,
    version_reference,
)

Git = Callable[..., str]
Draft = Callable[..., VersionRecord]
Register = Callable[..., RegisteredVersion]


def numbers(repository: Repository, model: str = "abalone") -> list[str]:
    return [str(one.version) for one in registry.known_model(repository, model).versions]


def test_a_story(
    repository: Repository, git: Git, gto: Git, draft: Draft, register: Register
) -> None:
    """From the first registration to a rejection; stock GTO agrees at the end."""
    root = repository.root
    (root / "notes.txt").write_text("mine\n")
    before = git(root, "status", "--porcelain=v2", "--branch")

    first = register(repository)
    assert (str(first), first.new, first.reason) == ("abalone@v1.0.0", True, "the first version")
    again = register(repository)
    assert (str(again), again.new, again.commit) == ("abalone@v1.0.0", False, first.commit)

    patch = register(repository, "data", data={"raw": "0b" * 16})
    assert (str(patch), patch.reason) == ("abalone@v1.0.1", "data raw")
    minor = register(repository, "params", parameters={"learning_rate": 0.05})
    assert str(minor) == "abalone@v1.1.0"
    assert minor.reason == "parameter learning_rate 0.1 -> 0.05"
    major = register(repository, "sig", signature=ModelSignature((), (Column("rings", "string"),)))
    assert (str(major), major.reason) == ("abalone@v2.0.0", "output rings number -> string")

    assert git(root, "status", "--porcelain=v2", "--branch") == before
    assert git(root, "rev-parse", f"{major.commit}^") == repository.head()
    assert git(root, "show", f"{major.commit}:dvc.yaml") == "a: 1"
    kept = registry.get_version(repository, "abalone@v1.1.0").record
    assert kept == replace(
        draft("params", parameters={"learning_rate": 0.05}),
        version=registry.VersionNumber(1, 1, 0),
        bump=RecordedBump("minor", "parameter learning_rate 0.1 -> 0.05"),
    )

    gone = registry.reject_version(repository, "abalone@latest", "leaked labels")
    assert (str(gone), gone.rejected) == ("abalone@v2.0.0", "leaked labels")
    assert str(registry.find_version(repository, "abalone@latest")) == "abalone@v1.1.0"
    assert registry.find_version(repository, "abalone@v2.0.0").rejected == "leaked labels"

    anew = register(repository, "sig", signature=ModelSignature((), (Column("rings", "string"),)))
    assert (str(anew), anew.new) == ("abalone@v3.0.0", True)

    assert numbers(repository) == ["v1.0.0", "v1.0.1", "v1.1.0", "v2.0.0", "v3.0.0"]
    latest = gto(root, "show", "abalone@latest", "--json")
    assert '"abalone@v3.0.0"' in latest
    assert "v2.0.0" not in gto(root, "show", "abalone", "--json")
    history = gto(root, "history", "--json")
    assert history.count('"registration"') == 5
    assert history.count('"deregistration"') == 1
    assert "No issues found" in gto(root, "doctor")


def test_tags_are_later_one_by_one(repository: Repository, register: Register) -> None:
    for key in "abcd":
        register(repository, key, parameters={"key": key})
    times = [one.time for one in registry.known_model(repository, "abalone").versions]
    assert times == sorted(set(times))


def test_what_was_asked_for_is_the_number(repository: Repository, register: Register) -> None:
    register(repository, bump=RecordedBump("minor", "asked for"))
    second = register(repository, "b", bump=RecordedBump("major", "asked for"))
    third = register(repository, "c", bump=RecordedBump("patch", "asked for"), parameters={"x": 1})
    assert numbers(repository) == ["v1.0.0", "v2.0.0", "v2.0.1"]
    assert (second.reason, third.reason) == ("asked for", "asked for")


@pytest.mark.parametrize(
    ("facts", "number", "reason"),
    [
        (
            {"code": RecordedCode("1" * 40, digests={"steps.train": "d2"})},
            "v1.1.0",
            "code of steps.train",
        ),
        ({"code": RecordedCode("1" * 40, digests={"steps.train": "d1"})}, "v1.0.1", "made again"),
        ({"code": RecordedCode("1" * 40)}, "v1.1.0", "code of steps.train"),
        ({"pipeline_digest": "p2"}, "v1.1.0", "the pipeline's declaration"),
        ({"packages": {"pandas": "3.2"}}, "v1.0.1", "package pandas 3.1.1 -> 3.2"),
        ({"packages": {}}, "v1.0.1", "package pandas 3.1.1 -> none"),
        ({"python": "3.12"}, "v1.0.1", "Python 3.11 -> 3.12"),
        ({"signature": None}, "v1.0.1", "made again"),
        ({"signature": ModelSignature((), (Column("rings", "number"),))}, "v1.0.1", "made again"),
        (
            {
                "signature": ModelSignature(
                    (Column("width", "number"),), (Column("rings", "number"),)
                )
            },
            "v2.0.0",
            "input width is new",
        ),
        (
            {"parameters": {str(n): n for n in range(9)}, "data": {"raw": "x"}},
            "v1.1.0",
            "parameter learning_rate 0.1 -> none; parameter 0 none -> 0; "
            "parameter 1 none -> 1; and 7 more",
        ),
    ],
)
def test_the_gravest_difference_gives_the_number(
    repository: Repository, register: Register, facts: dict[str, object], number: str, reason: str
) -> None:
    register(repository)
    then = register(repository, "then", **facts)
    assert (str(then.version), then.reason) == (number, reason)


def test_a_rejected_number_never_returns(repository: Repository, register: Register) -> None:
    register(repository)
    registry.reject_version(repository, "abalone@v1.0.0", "wrong")
    register(repository, "b", data={})
    register(repository, "c", parameters={})
    registry.reject_version(repository, "abalone@latest", "wrong")
    register(repository, "d", parameters={"x": 1})
    assert numbers(repository) == ["v1.0.0", "v1.0.1", "v1.1.0", "v1.2.0"]
    with pytest.raises(UsageError, match="was rejected already: wrong"):
        registry.reject_version(repository, "abalone@v1.0.0", "again")
    with pytest.raises(UsageError, match="a rejection says why"):
        registry.reject_version(repository, "abalone@v1.2.0", " ")


def test_models_do_not_meet(repository: Repository, register: Register) -> None:
    register(repository)
    register(repository, model="abalone-2")
    register(repository, model="abalone-2", key="more", parameters={})
    assert list(registry.read_models(repository)) == ["abalone", "abalone-2"]
    assert (numbers(repository), numbers(repository, "abalone-2")) == (
        ["v1.0.0"],
        ["v1.0.0", "v1.1.0"],
    )


def test_a_detached_head_and_a_work_tree_register_as_well(
    repository: Repository, git: Git, register: Register
) -> None:
    git(repository.root, "checkout", "-q", "--detach")
    register(repository)
    beside = repository.root.parent / "beside"
    git(repository.root, "worktree", "add", "-q", "-b", "other", str(beside))
    second = register(Repository.open(beside), "second", parameters={})
    assert str(second) == "abalone@v1.1.0"
    assert numbers(repository) == ["v1.0.0", "v1.1.0"]


def test_versions_of_stock_gto_stand_beside(
    repository: Repository, git: Git, gto: Git, register: Register
) -> None:
    gto(repository.root, "register", "abalone", "--version", "v4.0.0")
    git(repository.root, "tag", "abalone@v9.0.0")  # a light one is no version
    git(repository.root, "tag", "-a", "models=abalone@v8.0.0", "-m", "another's name")
    git(repository.root, "tag", "-a", "release-1", "-m", "no version")
    with pytest.raises(UsageError, match="in good standing was registered by Towpath"):
        registry.get_version(repository, "abalone@latest")
    then = register(repository)
    assert (str(then), then.reason) == (
        "abalone@v4.1.0",
        "abalone@v4.0.0 has no record to compare with",
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Abalone", "`abalone`"),
        ("my model", "`my-model`"),
        ("-x", "`x`"),
        ("a/b", "`a-b`"),
        ("$(rm -rf)", "`rm-rf`"),
        ("ä", "lower-case letters"),
        ("", "lower-case letters"),
        ("a" * 101, "at most 100"),
    ],
)
def test_a_name_that_no_model_may_have(
    repository: Repository, register: Register, name: str, hint: str
) -> None:
    with pytest.raises(UsageError) as said:
        register(repository, model=name)
    assert hint in str(said.value)
    assert refs.list_ref_names(repository, "refs/tags") == ()


def test_what_a_pipeline_may_name_the_registry_takes() -> None:
    longest = "a" * version_reference.LONGEST_NAME
    assert names_and_paths.model(longest) == longest
    version_reference.check_name(longest)
    with pytest.raises(PydanticCustomError, match="100 at most"):
        names_and_paths.model(longest + "a")


def test_nobody_was_named(repository: Repository, home: Path, register: Register) -> None:
    (home / ".gitconfig").write_text("")
    with pytest.raises(UserError, match=r"git config --global user\.name"):
        register(repository)
    assert refs.list_ref_names(repository, "refs/tags") == ()


def test_malicious_words_stay_words(repository: Repository, git: Git, register: Register) -> None:
    evil = 'x"\n\ntowpath: {"key":"forged"}\n$(touch pwned)\n\0'.replace("\0", "")
    register(repository, description=evil, labels={"a\nb": evil}, metrics={"m\n`id`": 1.0})
    found = registry.get_version(repository, "abalone@latest")
    assert found.version.key == found.record.key
    assert found.record.description == evil
    assert found.version.summary["labels"] == {"a\nb": evil}
    assert not (repository.root / "pwned").exists()
    assert git(repository.root, "fsck", "--strict") == ""


def test_numbers_that_are_none_are_said_in_words(
    repository: Repository, register: Register
) -> None:
    register(repository, metrics={"mse": float("nan"), "r2": float("inf"), "mae": 1e-9})
    found = registry.get_version(repository, "abalone@latest")
    assert found.record.metrics == {"mse": "nan", "r2": "inf", "mae": 1e-9}
    assert found.version.metrics == {"mae": 1e-9}


def test_a_shared_registry_names_the_code_elsewhere(
    repository: Repository, git: Git, draft: Draft
) -> None:
    """The commit descends from the registry's root and says ``{repository, commit}``."""
    shared = repository.root.parent / "shared"
    git(repository.root.parent, "init", "-q", str(shared))
    git(shared, "commit", "-q", "--allow-empty", "-m", "root")
    there = Repository.open(shared)
    code = RecordedCode(repository.head() or "", "https://forge.example/abalone.git")
    request = Registration(draft(code=code), there.head() or "", {})
    registry.register_version(there, request)
    found = registry.get_version(there, "abalone@latest")
    assert found.record.code == code
    assert found.version.summary["repository"] == "https://forge.example/abalone.git"
    assert numbers(there) == ["v1.0.0"]
    assert refs.list_ref_names(repository, "refs/tags") == ()


def test_the_lock_is_given_back(repository: Repository, register: Register) -> None:
    register(repository)
    with hold_lock(repository, "registry", patience=1):
        pass


@pytest.mark.parametrize("name", ["abalone@v1.0.0", "abalone@v1.0.0/x", "abalone@v1.0.0!#1"])
def test_a_number_whose_name_another_ref_has_is_passed_over(
    repository: Repository, git: Git, register: Register, name: str
) -> None:
    git(repository.root, "tag", name)
    assert str(register(repository)) == "abalone@v2.0.0"
    git(repository.root, "tag", name.replace("v1.0.0", "v2.1.0"))
    assert str(register(repository, "b", parameters={})) == "abalone@v2.2.0"
    assert numbers(repository) == ["v2.0.0", "v2.2.0"]


def test_a_name_that_is_free_and_cannot_be_made_is_said(
    repository: Repository, git: Git, register: Register
) -> None:
    """What stands in the way of a rejection's name is no event of the model."""
    register(repository)
    git(repository.root, "tag", "abalone@v1.0.0!#1/x")
    with pytest.raises(RegistryError, match=r"refs/tags/abalone@v1\.0\.0!#1 cannot be made"):
        registry.reject_version(repository, "abalone@v1.0.0", "wrong")


def test_who_rejected_is_known(repository: Repository, git: Git, register: Register) -> None:
    register(repository)
    git(repository.root, "config", "user.name", "Grace Hopper")
    registry.reject_version(repository, "abalone@v1.0.0", "wrong")
    found = registry.find_version(repository, "abalone@v1.0.0")
    assert (found.rejected, found.rejected_by) == ("wrong", "Grace Hopper")


@pytest.mark.parametrize(
    ("last", "summary"),
    [
        ('{"labels":[1]}', {}),
        ('{"labels":{"x":[1]},"key":"ab"}', {"key": "ab"}),
        ('{"metrics":{"mse":"low"},"size":"large","time":7}', {}),
        (
            '{"schema":1,"metrics":{"mse":1.5},"new":[1]}',
            {"schema": 1, "metrics": {"mse": 1.5}, "new": [1]},
        ),
        ('{"size":' + "9" * 5000 + "}", {}),
        ("[" * 100_000, {}),
    ],
)
def test_facts_of_another_kind_are_none(
    repository: Repository, git: Git, register: Register, last: str, summary: dict[str, object]
) -> None:
    """A hand can write the line, too."""
    register(repository)
    (repository.root / "message").write_text(f"by hand\n\ntowpath: {last}\n")
    git(repository.root, "tag", "-a", "abalone@v1.0.1", "-F", "message")
    _, hand = registry.known_model(repository, "abalone").versions
    assert hand.summary == summary
    assert hand.metrics == summary.get("metrics", {})
    every = list(registry.read_models(repository)["abalone"].versions)
    assert every[1].summary == summary
    assert every[0].summary["labels"] == {"team": "shellfish"}


def test_names_and_messages_with_line_separators(
    repository: Repository, git: Git, register: Register
) -> None:
    """What Unicode calls the end of a line ends none of Git's."""
    odd = "odd\u2028tag\u00a0\u0085é"
    git(repository.root, "tag", "-a", odd, "-m", f"said\u2028in\u2029{odd}")
    register(repository)
    name = f"refs/tags/{odd}"
    assert name in refs.list_ref_names(repository, "refs/tags")
    assert name in refs.list_ref_objects(repository, "refs/tags")
    assert list(registry.read_models(repository)) == ["abalone"]
    assert refs.change_refs(repository, delete=[name])
    assert refs.list_ref_names(repository, "refs/tags") == ("refs/tags/abalone@v1.0.0",)
