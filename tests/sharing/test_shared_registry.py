"""Two projects, one registry: versions registered from each, seen from both."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from command_line import call_dvc
from running import FOLDER, Project, ran, reasons, states
from towpath import registry as registries
from towpath.backends.git import remotes
from towpath.errors import RegistryError, UserError
from towpath.studio.beside_answers import BesideAnswers
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.static_site import build_site

MakeProject = Callable[..., Project]


def dvc(folder: Path, *words: str) -> str:
    """Stock DVC in a folder."""
    done = call_dvc(folder, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_pages_show_both(reader: Project, site: Path) -> None:
    """Studio's pages, of a project and of the registry itself: whose a model is, where runs are."""
    build_site(reader.root, site)
    models = (site / "models" / "index.html").read_text()
    assert "of forge.example/one" in models
    assert "of forge.example/other" in models
    whose = "made by forge.example/one, forge.example/other: runs and their logs are in the folders"
    assert whose in (site / "runs" / "index.html").read_text()
    version = (site / "models" / "median" / "v1.0.0" / "index.html").read_text()
    assert "in a folder of forge.example/other" in version
    served = ProjectFacts(reader.root, beside=BesideAnswers(patience=20))
    assert sorted(served.models) == ["mean", "median"]
    assert not [note for note in served.notes if "registry" in note]


def test_two_projects_register_into_one(
    registry: Project, project: MakeProject, tmp_path: Path
) -> None:
    one, other = project("one"), project("other", "median")
    first = one.run()
    waiting = str(first.steps["register"].made.facts["version"])
    assert waiting.startswith("mean@")
    assert one.tags() == [], "nothing is written into the project's own repository"
    assert one.git("status", "--porcelain", "--untracked-files=no") == ""
    said = one.towpath("push")
    assert said.code == 0, said.err
    assert f"registry file://{tmp_path}/models.git: pushed mean@v1.0.0" in said.err
    other.run(push=True)
    for each in (one, other):
        each.towpath("fetch")
        found = each.towpath("models", "--json").json["models"]
        assert [(v["model"], v["version"]) for v in found] == [
            ("mean", "v1.0.0"), ("median", "v1.0.0"),
        ]  # fmt: skip
    assert reasons(one.run())["register"] == "registered as mean@v1.0.0"
    assert ran(one.run(params={"factor": "3"}, push=True, register=True)) == {
        "fit",
        "score",
        "register",
    }

    registry.git("fetch", "-q", "--tags", "origin")
    for reader in (one, registry):
        assert_pages_show_both(reader, tmp_path / f"site-of-{reader.root.name}")
    assert registry.tags() == ["mean@v1.0.0", "mean@v1.1.0", "median@v1.0.0"]
    assert registry.git("rev-parse", "mean@v1.1.0^") == registry.git("rev-parse", "main")
    added = registry.git("diff", "--name-only", "main", "mean@v1.0.0").splitlines()
    assert added == [
        ".dvc/config", "dvc.yaml",
        "registry/models/mean/model.json.dvc", "registry/models/mean/v1.0.0.yaml",
    ]  # fmt: skip
    record = registries.get_version(registry.workspace.registry, "mean@v1.0.0").record
    assert record.code.repository == "https://forge.example/one.git", "without its credentials"
    assert record.code.commit == one.git("rev-parse", "HEAD")
    configuration = registry.git("show", "mean@v1.0.0:.dvc/config")
    assert f"url = {tmp_path}/store-one" in configuration
    assert "verify" not in configuration, "only the address is for others"
    got = tmp_path / "got"
    got.mkdir()
    dvc(got, "artifacts", "get", f"file://{tmp_path}/models.git", "mean", "--rev", "v1.0.0")
    assert (got / "model.json").read_bytes() == one.store.path(record.artifact.digest).read_bytes()


def test_a_name_belongs_to_who_registered_it_first(registry: Project, project: MakeProject) -> None:
    one, other = project("one"), project("other")
    one.run(push=True)
    run = other.run()
    assert run.state == "failed"
    said = " ".join(run.error)
    assert "`mean` in this registry is made by https://forge.example/one.git" in said
    assert (
        "owners: {mean: [https://forge.example/one.git, https://forge.example/other.git]}" in said
    )
    owners = "owners:\n  mean: [git@forge.example:one.git, https://forge.example/other]\n"
    registry.edit("towpath.yaml", "name: models\n", f"name: models\n{owners}")
    registry.commit("two teams make it")
    registry.git("push", "-q", "origin", "main")
    other.towpath("fetch")
    other.edit("flows/training/pipeline.yaml", "factor: {default: 2", "factor: {default: 4")
    other.commit()
    assert states(other.run(push=True))["register"] == "done"
    registry.git("fetch", "-q", "--tags", "origin")
    assert registry.tags() == ["mean@v1.0.0", "mean@v1.1.0"]
    third = project("third")
    assert "is made by git@forge.example:one.git, https://forge" in " ".join(third.run().error)


def test_two_that_claim_a_name_at_once(project: MakeProject) -> None:
    one, other = project("one"), project("other")
    one.run()
    other.run()
    one.towpath("push")
    said = other.towpath("push")
    assert said.code == 2
    assert "`mean` in this registry is made by https://forge.example/one.git" in said.err


def test_offline_with_the_view_there_is(project: MakeProject, tmp_path: Path) -> None:
    one, away = project("one"), tmp_path / "away.git"
    one.run(push=True)
    (tmp_path / "models.git").rename(away)
    assert [v["version"] for v in one.towpath("models", "--json").json["models"]] == ["v1.0.0"]
    clone = one.workspace.registry_at_hand
    fetched = clone.common / "towpath" / "fetched"
    os.utime(fetched, (fetched.stat().st_mtime - 8000,) * 2)
    said = one.towpath("models")
    assert said.code == 0
    assert f"as of 2 hours ago: file://{tmp_path}/models.git cannot be reached" in said.err
    assert (clone.common / "towpath" / "tried").exists(), "it was looked for"
    fetch = one.towpath("fetch")
    assert fetch.code == 1
    assert "cannot be reached" in fetch.err
    away.rename(tmp_path / "models.git")
    assert one.towpath("fetch").code == 0
    assert (remotes.tags_age(clone) or 0) < 60

    late = project("late", "late", shared=f"file://{tmp_path}/nowhere.git")
    run = late.run()
    assert run.state == "done"
    assert reasons(run)["register"].startswith(
        f"the shared registry file://{tmp_path}/nowhere.git cannot be reached"
    )
    with pytest.raises(RegistryError, match="it was never fetched here"):
        late.run(require_register=True)
    said = late.towpath("models")
    assert said.code == 1
    assert "it was never fetched here" in said.err


def test_many_versions_at_once(project: MakeProject, registry: Project, tmp_path: Path) -> None:
    one = project("one")
    one.run(push=True)
    record = registries.get_version(one.workspace.registry, "mean@latest").record
    clones = []
    for number in range(8):
        folder = tmp_path / f"clone-{number}"
        one.git("clone", "-q", ".", str(folder))
        clones.append(Project(folder))

    def publish(number: int) -> str:
        from msgspec.structs import replace

        from towpath.registry import Registration

        repository = clones[number].workspace.registry
        draft = replace(record, key=f"{number:064x}", version=None, bump=None)
        base = str(repository.commit("refs/remotes/origin/main"))
        registries.register_version(repository, Registration(draft, base, {"dvc.yaml": b"a: 1\n"}))
        (done,) = registries.publish_registry(repository)
        return str(done.version)

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(publish, range(8)))
    assert sorted(numbers) == sorted(f"v1.0.{n}" for n in range(1, 9))
    registry.git("fetch", "-q", "--tags", "origin")
    assert len(registry.tags()) == 9


def test_an_empty_registry_is_told(project: MakeProject, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "empty.git")], check=True)
    one = project("one", shared="../empty.git")
    run = one.run()
    assert run.state == "failed"
    assert "has no main branch yet" in " ".join(run.error)


def test_a_stage_that_the_registry_does_not_declare_is_no_missing_input(
    project: MakeProject,
) -> None:
    one = project("one")
    declared = "inputs:\n  incumbent: {model: mean#STAGE, optional: true}\n"
    one.edit(f"{FOLDER}/pipeline.yaml", "inputs:\n", declared.replace("STAGE", "prod"))
    one.edit(f"{FOLDER}/pipeline.yaml", "inputs: [clean.rows]", "inputs: [clean.rows, incumbent]")
    one.edit(f"{FOLDER}/steps.py", "def fit(rows: list,", "def fit(rows: list, incumbent,")
    one.commit()
    assert states(one.run())["fit"] == "done", "prod runs nothing yet"
    one.edit(f"{FOLDER}/pipeline.yaml", "mean#prod", "mean#prd")
    with pytest.raises(UserError, match="there is no stage `prd`") as slip:
        one.run()
    assert slip.value.faults[0].hint == "did you mean `prod`?"
