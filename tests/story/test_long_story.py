"""Three models, a dozen promotions, rollbacks and rejections: stock tools agree at every point."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dvc.cli import main as dvc_main
from dvc.repo import Repo
from gto.cli import app

from running import Project, make
from towpath import registry
from towpath.audit.stage_history import read_stage_history
from towpath.delivery import promotion, reconcile
from towpath.workspace import Workspace

MODELS = ("lowest", "mean", "top")
STAGES = ("dev", "uat", "prod")
#: With what is rolled back and rejected between them, a step of the story takes a second.
PROMOTIONS = 12
VERSIONS = 4

PIPELINE = """\
params: {factor: 2}
inputs: {raw: data/raw.json}
steps:
  lowest: {kind: training, run: lowest, inputs: [raw], params: [factor], outputs: [model.json]}
  mean: {kind: training, run: mean, inputs: [raw], params: [factor], outputs: [model.json]}
  top: {kind: training, run: top, inputs: [raw], params: [factor], outputs: [model.json]}
  save_lowest: {kind: register_model, as: lowest, inputs: [lowest.model]}
  save_mean: {kind: register_model, as: mean, inputs: [mean.model]}
  save_top: {kind: register_model, as: top, inputs: [top.model]}
"""

STEPS = """\
def lowest(raw: list, factor: float) -> dict:
    return {"answer": factor * min(raw)}


def mean(raw: list, factor: float) -> dict:
    return {"answer": factor * sum(raw) / len(raw)}


def top(raw: list, factor: float) -> dict:
    return {"answer": factor * max(raw)}
"""


@dataclass
class Story:
    """What happened so far, told apart from what any tool says of it."""

    project: Project
    luck: random.Random
    runs: dict[tuple[str, str], str] = field(default_factory=dict)
    before: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    rejected: set[tuple[str, str]] = field(default_factory=set)
    promoted: int = 0
    rolled_back: int = 0

    @property
    def workspace(self) -> Workspace:
        return self.project.workspace

    def versions(self) -> dict[str, list[str]]:
        """Those of each model that were not rejected."""
        repository = self.workspace.registry
        known = {model: registry.known_model(repository, model).versions for model in MODELS}
        return {
            model: [str(v.version) for v in found if (model, str(v.version)) not in self.rejected]
            for model, found in known.items()
        }

    def candidates(self) -> list[tuple[str, str, str]]:
        """Every promotion that the ladder allows now."""
        return [
            (model, stage, version)
            for model, versions in self.versions().items()
            for below, stage in zip((None, *STAGES), STAGES, strict=False)
            for version in versions
            if self.runs.get((stage, model)) != version
            and (below is None or self.runs.get((below, model)) == version)
        ]

    def promote(self) -> None:
        model, stage, version = self.luck.choice(self.candidates())
        self.settle(promotion.propose_promotion(self.workspace, f"{model}@{version}", stage))
        self.enters(stage, model, version)
        self.promoted += 1

    def roll_back(self) -> None:
        """Back to what the stage ran before."""
        able = [
            place
            for place, past in self.before.items()
            if past and (place[1], past[-1]) not in self.rejected and past[-1] != self.runs[place]
        ]
        if not able:
            return
        stage, model = self.luck.choice(sorted(able))
        version = self.before[stage, model][-1]
        self.settle(promotion.propose_rollback(self.workspace, model, stage, to=version))
        self.enters(stage, model, version)
        self.rolled_back += 1

    def reject(self) -> None:
        """A version that runs nowhere turns out bad."""
        idle = [
            (model, version)
            for model, versions in self.versions().items()
            for version in versions[:-1]
            if version not in {self.runs.get((stage, model)) for stage in STAGES}
        ]
        if not idle or len(self.rejected) >= 3:
            return
        model, version = self.luck.choice(idle)
        registry.reject_version(self.workspace.registry, f"{model}@{version}", "it leaked")
        self.rejected.add((model, version))

    def settle(self, proposed: promotion.ProposedPromotion) -> None:
        """Another person approves, and the stage follows."""
        with person("Bo"):
            promotion.approve_promotion(self.workspace, proposed.branch)
        done = reconcile.reconcile_stage(self.workspace, proposed.case.stage)
        assert done.exit_code == 0, done

    def enters(self, stage: str, model: str, version: str) -> None:
        if (stage, model) in self.runs:
            self.before.setdefault((stage, model), []).append(self.runs[stage, model])
        self.runs[stage, model] = version


@contextlib.contextmanager
def person(name: str) -> Iterator[None]:
    """Git's author and committer, for a while."""
    who = {"NAME": name, "EMAIL": f"{name.lower()}@example.org"}
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            for key, value in who.items():
                patch.setenv(f"GIT_{role}_{key}", value)
        yield


def gto(*words: str) -> Any:
    """What stock GTO answers in the working directory."""
    said = CliRunner().invoke(app, [*words, "--json"])
    assert said.exit_code == 0, said.output
    return json.loads(said.output)


def agrees(story: Story) -> None:
    """Stock GTO and DVC see what Towpath sees, and all see what happened."""
    root, workspace = story.project.root, story.workspace
    repository = workspace.registry
    shown, told, dvc = gto("show"), gto("history"), Repo(str(root))
    models, stages = registry.read_models(repository), registry.read_stage_files(repository)
    bad = {(v.model, str(v.version)) for m in models.values() for v in m.versions if v.rejected}
    assert bad == story.rejected
    commits = {(v.model, str(v.version)): v.commit for m in models.values() for v in m.versions}
    for model in MODELS:
        here = {stage: story.runs[stage, model] for stage in STAGES if (stage, model) in story.runs}
        assert {stage: v for stage, v in shown[model]["stage"].items() if v} == here
        assert {w.stage: str(w.version) for w in stages.wanted if w.model == model} == here
        latest = models[model].latest
        assert latest and shown[model]["version"] == str(latest.version)
        for stage, version in here.items():
            assert dvc.artifacts.get_rev(model, stage=stage) == commits[model, version]
        entries = read_stage_history(workspace, model, forge=False)
        assert [(e.stage, e.version) for e in entries] == [
            (event["stage"], event["version"])
            for event in reversed(told)
            if (event["artifact"], event["event"]) == (model, "assignment")
        ]


def bytes_agree(story: Story, into: Path) -> None:
    """`dvc artifacts get` gives the bytes that Towpath's record names."""
    repository = story.workspace.registry
    for (stage, model), version in story.runs.items():
        out = into / f"{model}-{stage}.json"
        words = ["artifacts", "get", str(story.project.root), model, "--stage", stage]
        assert dvc_main([*words, "-o", str(out), "-q", "-f"]) == 0
        record = registry.get_version(repository, f"{model}@{version}").record
        assert hashlib.sha256(out.read_bytes()).hexdigest() == record.sha256


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Three models, and a few versions of each."""
    made = make(tmp_path / "story")
    made.write("data/raw.json", "[1, 2, 6]")
    made.declare(PIPELINE, STEPS)
    made.git("init", "-q", "-b", "main")
    made.commit()
    monkeypatch.chdir(made.root)
    with person("Ada"):
        for factor in range(2, 2 + VERSIONS):
            run = made.run_by_prefect(params={"factor": factor}, register=True)
            assert run.state == "done", run.error
    return made


def test_stock_tools_agree_at_every_point(project: Project, tmp_path: Path) -> None:
    story = Story(project, random.Random(20))
    with person("Ada"):
        while story.promoted < PROMOTIONS:
            story.luck.choice([story.promote, story.promote, story.roll_back, story.reject])()
            agrees(story)
            if story.promoted % 6 == 0:
                bytes_agree(story, tmp_path)
    assert story.rolled_back > 3
    assert len(story.rejected) == 3
