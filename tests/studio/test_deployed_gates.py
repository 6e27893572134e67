"""What deploy gates found is on the pages of a stage and of a decision, as its stage tag has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx

from running import Project
from towpath.audit.open_tasks import read_project_standing
from towpath.audit.stage_board import MetricPolicy, judge_change
from towpath.delivery.reconcile.deployment_record import (
    DeployedGate,
    parse_gate_trailers,
    write_gate_trailers,
)
from towpath.studio.pages.stage_cards import list_stage_cards
from towpath.studio.project_facts import ProjectFacts

OpenStudio = Callable[[Path], httpx.Client]
EVIL = DeployedGate("late", "golden", "3 of 3", "all <b>of</b> it", "one\nGate: {} line")


def test_a_tag_says_no_more_than_its_lines() -> None:
    plain = DeployedGate("good", "metric", 4.0, "mse below 5")
    lines = write_gate_trailers([EVIL, plain])
    assert parse_gate_trailers("\n".join(["in", "", "Promotion: 1", *lines])) == (EVIL, plain)
    for wrong in ("{}", "[]", '{"gate": 1, "kind": "x"}', "nonsense", "[" * 3000):
        assert parse_gate_trailers(f"in\n\nGate: {wrong}\n{lines[1]}") == (plain,)
    assert parse_gate_trailers("in\n\nApproval: forge") == ()


def test_a_stage_and_a_decision_tell_it(own_shown: Project, open_studio: OpenStudio) -> None:
    words = ["mean@v1.0.0 enters dev", "", *write_gate_trailers([EVIL])]
    own_shown.git("tag", "-a", "mean#dev#2", "-m", "\n".join(words), "mean@v1.0.0^{commit}")
    client = open_studio(own_shown.root)
    for path in ("/stages/dev/", "/models/mean/v1.0.0/"):
        page = client.get(path).text
        assert "1 gate passed at the deployment" in page, path
        assert "3 of 3" in page and "all &lt;b&gt;of&lt;/b&gt; it" in page, path


def test_the_board_and_the_command_tell_one_metric(own_shown: Project) -> None:
    (place,) = read_project_standing(own_shown.workspace, offline=True).stages
    card = list_stage_cards(ProjectFacts(own_shown.root), "dev")["dev"][0]
    assert (place.metric, place.verdict, place.change) == (card.metric, "", None)
    assert place.metric == "error" and place.value is not None
    metrics = MetricPolicy(own_shown.workspace.project)
    version = ProjectFacts(own_shown.root).models["mean"].versions[0]
    same = metrics.read_main_metric(version, version)
    assert same and (same.change, same.verdict) == (0, "same")
    assert judge_change(metrics.find_sign("error"), 2.0, 1.0) == "better"
