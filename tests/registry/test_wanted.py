"""Stage files on the main branch: read, and refused with their place where they say nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from towpath import documents, registry
from towpath.backends.git import Repository
from towpath.errors import RegistryError, UsageError
from towpath.registry import RegisteredVersion, StageFile, VersionNumber

Git = Callable[..., str]
Register = Callable[..., RegisteredVersion]
Commit = Callable[[Mapping[str, str]], None]

SHA = "5f" * 32


@pytest.fixture
def commit(repository: Repository, git: Git) -> Commit:
    """Commit stage files, by ``stage/model``."""

    def act(files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = repository.root / "registry" / "stages" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(repository.root, "add", ".")
        git(repository.root, "commit", "-qm", "stages")

    return act


def stage_file(model: str = "abalone", version: str = "v1.0.0", **more: object) -> str:
    return documents.dump_yaml({"model": model, "version": version, "sha256": SHA, **more})


def test_what_each_stage_should_run(
    repository: Repository, git: Git, register: Register, commit: Commit
) -> None:
    assert registry.read_stage_files(repository).wanted == ()
    register(repository)
    register(repository, "second", parameters={})
    commit(
        {
            "dev/abalone": stage_file(version="v1.1.0", replaces="v1.0.0"),
            "prod/abalone": f"# by hand\nmodel: 'abalone'\nversion: v1.0.0\nsha256: '{SHA}'\n",
            "prod/no": stage_file("no", "v9.0.0"),
        }
    )
    found = registry.read_stage_files(repository)
    assert found.faults == ()
    assert found.find_stage_file("dev", "abalone") == StageFile(
        "dev", "abalone", VersionNumber(1, 1, 0), SHA, VersionNumber(1, 0, 0)
    )
    assert found.stages_of("abalone", VersionNumber(1, 0, 0)) == ("prod",)
    assert str(registry.find_version(repository, "abalone#prod")) == "abalone@v1.0.0"
    assert str(registry.find_version(repository, "abalone#dev")) == "abalone@v1.1.0"
    with pytest.raises(UsageError, match=r"uat runs no abalone \(it runs in dev, prod\)"):
        registry.find_version(repository, "abalone#uat")

    git(repository.root, "checkout", "-qb", "work")
    commit({"prod/abalone": stage_file(version="v1.1.0")})
    assert (
        str(registry.find_version(repository, "abalone#prod")) == "abalone@v1.0.0"
    )  # main decides
    assert registry.read_version_lineage(repository, "abalone@v1.1.0").stages == ("dev",)


def test_a_version_that_this_clone_does_not_have(
    repository: Repository, register: Register, commit: Commit
) -> None:
    register(repository)
    commit({"prod/abalone": stage_file(version="v1.4.0")})
    with pytest.raises(
        RegistryError, match=r"runs abalone@v1.4.0, which .* \(towpath restore abalone@v1"
    ):
        registry.find_version(repository, "abalone#prod")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (stage_file("trout"), "`model` is trout, and the file is abalone's"),
        (stage_file(version="latest"), "`version` is latest, which is no version"),
        ("model: abalone\nversion: v1.0.0\n", "`sha256` is missing or no SHA-256"),
        (stage_file(replace="v1.0.0"), "unknown key `replace`"),
        ("model: abalone\nmodel: abalone\n", "`model`"),
        ("- abalone\n", "this is no stage file"),
        ("{", "this is not YAML"),
        ("", "this is no stage file"),
    ],
)
def test_a_bad_file_is_a_fault_and_no_end(
    repository: Repository, register: Register, commit: Commit, text: str, said: str
) -> None:
    register(repository)
    commit({"prod/abalone": text, "dev/abalone": stage_file()})
    found = registry.read_stage_files(repository)
    assert [one.stage for one in found.wanted] == ["dev"]
    assert said in str(found.faults[0])
    assert str(found.faults[0]).startswith("registry/stages/prod/abalone.yaml")
    with pytest.raises(RegistryError, match=r"registry/stages/prod/abalone\.yaml"):
        registry.find_version(repository, "abalone#prod")


@pytest.mark.parametrize(
    "policy",
    [
        "name: a\nstages:\n  test:\n    gates: {good: {kind: metric}}\n  # then\n  live:\n",
        "stages: [test, live]\n",
        "stages:\n- test\n- live\n",
        'stages:\n    test: {}\n    "live": {}\n',
    ],
)
def test_stages_come_in_the_order_of_the_ladder(
    policy: str, repository: Repository, register: Register, commit: Commit
) -> None:
    register(repository)
    (repository.root / "towpath.yaml").write_text(policy)
    commit({f"{stage}/abalone": stage_file() for stage in ("else", "live", "test")})
    assert registry.read_stage_files(repository).stages_of("abalone", VersionNumber(1, 0, 0))[
        :2
    ] == ("test", "live")
