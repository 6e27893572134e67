"""Up the ladder, back, and out: what reconcile plans and does, and what stock tools say of it."""

from __future__ import annotations

import json
from pathlib import Path

from reconcile_project import Project

from towpath.reconcile.deployed import deployed
from towpath.registry import staging


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
    known = deployed(project.store("prod"), "abalone")
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
    assert deployed(project.store("prod"), "abalone") is None
    assert project.plan("prod").pending == ()
    tags = [one.tag.name for one in staging.history(project.repository) if one.stage == "prod"]
    numbers = [name.rpartition("#")[2] for name in tags]
    assert numbers == sorted(numbers, key=int)
    times = [one.tag.time for one in staging.history(project.repository)]
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
