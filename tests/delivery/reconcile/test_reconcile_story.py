"""Up the ladder, back, and out: what reconcile plans and does, and what stock tools say of it."""

from __future__ import annotations

import json
from pathlib import Path

from reconcile_project import Project, initialised, read_deployment
from towpath.registry import stage_tags


def test_a_version_climbs_is_replaced_goes_back_and_leaves(project: Project) -> None:
    first, second = project.register(b"one"), project.register(b"two")
    assert project.plan("prod").changes == ()
    project.up_to("prod", first)
    assert project.said("prod") == {"abalone": f"nothing to do: {first}"}

    project.promote(second, "dev")
    assert project.said("dev") == {"abalone": f"deploy {second} over {first}"}
    project.apply("dev")
    for stage in ("uat", "prod"):
        project.promote(second, stage)
        project.apply(stage)
    current = project.root / "deploy/prod/abalone/current"
    assert (current / "model.bin").read_bytes() == b"two"
    assert json.loads((current / "MANIFEST.json").read_text())["version"] == second
    known = read_deployment(project.store("prod"), "abalone")
    assert known
    assert (str(known.version), known.approval.level) == (second, "recorded")
    assert known.approval.by == ("Bob Reviewer <bob@example.org>",)
    assert [str(old.version) for old in known.previous] == [first]

    project.promote(first, "prod")
    assert project.apply("prod").exit_code == 0
    assert (current / "model.bin").read_bytes() == b"one"
    project.promote(None, "prod")
    assert project.said("prod") == {"abalone": f"remove {first}"}
    project.apply("prod")
    assert not current.exists()
    assert read_deployment(project.store("prod"), "abalone") is None
    assert project.plan("prod").pending == ()
    tags = [
        one.tag.name
        for one in stage_tags.read_stage_tags(project.repository)
        if one.stage == "prod"
    ]
    numbers = [name.rpartition("#")[2] for name in tags]
    assert numbers == sorted(numbers, key=int)
    times = [one.tag.time for one in stage_tags.read_stage_tags(project.repository)]
    assert times == sorted(set(times))
    assert tags[-1].startswith("refs/tags/abalone#prod!#")


def test_stock_gto_and_dvc_agree(project: Project, tmp_path: Path) -> None:
    first, second = project.register(b"one"), project.register(b"two")
    project.up_to("prod", first)
    project.up_to("dev", second)
    shown = json.loads(project.tool("gto", "show", "--json"))
    assert shown["abalone"]["stage"] == {"dev": second, "prod": first, "uat": first}
    project.tool(
        "dvc", "artifacts", "get", ".", "abalone", "--stage", "prod", "-o", str(tmp_path / "got")
    )
    assert (tmp_path / "got").read_bytes() == b"one"


def test_a_linked_work_tree_sees_the_same_stages(project: Project, tmp_path: Path) -> None:
    version = project.register(b"one")
    project.up_to("prod", version)
    project.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    linked = Project(tmp_path / "linked")
    assert linked.said("prod") == {"abalone": f"nothing to do: {version}"}


def test_two_projects_in_one_repository_keep_to_their_own(tmp_path: Path) -> None:
    whole = initialised(tmp_path / "whole", "[dev]")
    one, two = (Project(whole.root / name) for name in ("one", "two"))
    for project in (one, two):
        project.write(
            "towpath.yaml", "name: part\nstages: {dev: {deploy: {to: files, path: out}}}\n"
        )
        project.write(".gitignore", "/.towpath/\n/artifacts/\n/out/\n")
        project.commit("a part")
    for project, model in ((one, "abalone"), (two, "rings")):
        claim = f"registry/models/{model}/project.yaml"
        Project(whole.root).write(claim, f"project: {project.root.name}\n")
        project.commit("Whose it is")
        project.promote(project.register(b"x", model), "dev", model)
        assert project.apply("dev").exit_code == 0
        assert (project.root / f"out/{model}/current/model.bin").read_bytes() == b"x"
    assert one.said("dev") == {"abalone": "nothing to do: v1.0.0"}
    assert two.said("dev") == {"rings": "nothing to do: v1.0.0"}
    two.promote(None, "dev", "rings")
    assert one.plan("dev").pending == ()
    assert two.said("dev") == {"rings": "remove v1.0.0"}
