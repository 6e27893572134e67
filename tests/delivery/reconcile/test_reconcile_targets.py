"""What runs versions: a command, a Prefect deployment; and the trial before the switch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from reconcile_project import Project, declare, read_deployment
from towpath.backends.prefect import deployments, server
from towpath.config.target_declarations import CommandDeployment
from towpath.delivery.reconcile.targets.command_target import CommandTarget
from towpath.errors import DeployError, EngineError
from towpath.registry import Column, ModelSignature

COMMAND = """
  dev:
    deploy:
      to: command
      run: [./deploy.sh, "a word; touch hacked"]
      check: [./check.sh]
      remove: [./remove.sh]
"""


def _script(project: Project, name: str, text: str) -> None:
    project.write(name, f"#!/bin/sh\n{text}\n").chmod(0o755)


@pytest.fixture
def commanded(make_project: Callable[..., Project]) -> Project:
    """A stage whose versions run where the user's own scripts say."""
    project = make_project(COMMAND)
    _script(
        project,
        "deploy.sh",
        'cp "$TOWPATH_FILE" served && echo "$TOWPATH_VERSION" > "running-$TOWPATH_MODEL"\n'
        'test -f "$TOWPATH_BUNDLE/MANIFEST.json" && echo "up in $TOWPATH_STAGE with $1"',
    )
    _script(project, "check.sh", 'cat "running-$TOWPATH_MODEL" 2>/dev/null || true')
    _script(project, "remove.sh", 'rm "running-$TOWPATH_MODEL"')
    project.write(".gitignore", "/.towpath/\n/artifacts/\nserved\nrunning-*\n")
    project.commit("scripts")
    return project


def test_a_command_deploys_is_asked_first_and_removes(commanded: Project) -> None:
    version = commanded.register(b"one")
    commanded.promote(version, "dev")
    said: list[str] = []
    assert commanded.apply("dev", say=said.append).exit_code == 0
    assert "up in dev with a word; touch hacked" in said
    assert not (commanded.root / "hacked").exists()
    assert (commanded.root / "served").read_bytes() == b"one"
    (commanded.root / "running-abalone").write_text("v0.9.9\n")
    assert commanded.said("dev") == {"abalone": f"repair {version}: the target runs v0.9.9"}
    commanded.apply("dev")
    assert commanded.plan("dev").pending == ()
    commanded.promote(None, "dev")
    commanded.apply("dev")
    assert not (commanded.root / "running-abalone").exists()


def test_what_a_command_started_ends_with_its_timeout(tmp_path: Path) -> None:
    declared = CommandDeployment(
        to="command", run=("sh", "-c", "sleep 60 & echo $! > begun; wait"), timeout="2s"
    )
    target = CommandTarget(declared, "dev", tmp_path, os.environ, print)
    with pytest.raises(DeployError, match="sh did not end within 2 s"):
        target._run_program(declared.run, {})
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int((tmp_path / "begun").read_text())).wait(180)


def test_a_command_that_fails_or_lies_leaves_the_record(commanded: Project) -> None:
    first, second = commanded.register(b"one"), commanded.register(b"two")
    commanded.up_to("dev", first)
    _script(commanded, "deploy.sh", "echo no room on the shelf; exit 7")
    commanded.commit("broken")
    commanded.promote(second, "dev")
    applied = commanded.apply("dev")
    assert applied.exit_code == 1
    assert applied.outcomes[0].words == "./deploy.sh ended with exit code 7: no room on the shelf"
    known = read_deployment(commanded.store("dev"), "abalone")
    assert known
    assert str(known.version) == first
    _script(commanded, "deploy.sh", "true")
    commanded.commit("lying")
    what = f"command ./deploy.sh was given {second} and runs {first}"
    assert commanded.apply("dev").outcomes[0].words == what
    declare(commanded, "{dev: {deploy: {to: command, run: [./gone.sh]}}}")
    assert "./gone.sh cannot be run: No such file" in commanded.apply("dev").outcomes[0].words


TRAIN = """
import sys
from pathlib import Path
import numpy, pandas
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.compose import make_column_transformer
from towpath.steps.model_io import skops_models as models
x = pandas.DataFrame({"height": [1.0, 2.0, 3.0, 4.0], "sex": ["F", "M", "I", "M"]})
encoded = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough")
def fitted(slope):
    return make_pipeline(encoded, LinearRegression()).fit(x, slope * x["height"])
models.dump_model(fitted(1.0), Path(sys.argv[1]))
models.dump_model(fitted(2.0), Path(sys.argv[2]))
broken = fitted(2.0)
broken.steps[-1][1].coef_ = numpy.full(4, numpy.nan)
models.dump_model(broken, Path(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three models: one, a steeper one, and one that predicts nothing but NaN."""
    folder = tmp_path_factory.mktemp("trained")
    paths = [folder / f"{number}.skops" for number in range(3)]
    subprocess.run([sys.executable, "-c", TRAIN, *map(str, paths)], check=True)
    return [path.read_bytes() for path in paths]


def _registered(project: Project, content: bytes, kind: str = "skops") -> str:
    columns = (Column("height", "number"), Column("sex", "string"))
    signature = ModelSignature(columns, (Column("prediction", "number"),))
    facts: dict[str, Any] = {"name": "model.skops", "kind": kind, "signature": signature}
    return project.register(content, **facts)


def test_a_version_is_tried_beside_the_one_that_runs(
    make_project: Callable[..., Project], trained: list[bytes]
) -> None:
    project = make_project("{dev: {deploy: {to: files, path: out, sample: rows.csv}}}")
    project.write("rows.csv", "height,sex\n1,F\n2,M\n")
    project.commit("rows")
    first, second, broken = (_registered(project, content) for content in trained)
    project.promote(first, "dev")
    assert project.apply("dev").outcomes[0].words == "2 rows predicted"
    declare(project, "{dev: {deploy: {to: files, path: out}}}")
    project.promote(second, "dev")
    words = project.apply("dev").outcomes[0].words
    assert words == f"3 rows predicted, 3 of 3 values other than {first}'s"
    project.promote(broken, "dev")
    applied = project.apply("dev")
    assert applied.exit_code == 1
    assert "failed its smoke test: it predicts values that are no numbers" in (
        applied.outcomes[0].words
    )
    assert (project.root / "out/abalone/current").readlink().name == second


FLOW = """
import json, sys
from towpath.flows import batch_transform
batch_transform(**json.loads(sys.argv[1]))
"""


DEPLOYED = deployments.WantedDeployment(
    flow="abalone", name="dev", version=None, entrypoint="", folder="", parameters={}
)


def test_a_prefect_deployment_is_pinned_and_runs(
    make_project: Callable[..., Project],
    trained: list[bytes],
    warm_api: server.PrefectApi,
) -> None:
    project = make_project(
        f"{{dev: {{api: '{warm_api.url}', deploy: {{to: prefect, "
        "parameters: {data: new.csv, output: scored.csv}}}}"
    )
    project.write("new.csv", "height,sex\n2.0,F\n3.5,M\n")
    project.commit("data")
    # Another kind, so that no trial is made: that is for the test above.
    first, second = (_registered(project, content, "model") for content in trained[:2])
    project.up_to("dev", first)
    assert project.plan("dev").pending == ()
    project.promote(second, "dev")
    project.apply("dev")
    standing = deployments.read_standing(warm_api.url, DEPLOYED)
    assert standing
    found = dict(standing.parameters)
    assert found == {
        "reference": f"abalone@{second}",
        "stage": "dev",
        "sha256": project.record(second).sha256,
        "data": "new.csv",
        "output": "scored.csv",
    }
    environment = {**os.environ, "PREFECT_API_URL": warm_api.url}
    subprocess.run(
        [sys.executable, "-c", FLOW, json.dumps(found)],
        cwd=project.root,
        env=environment,
        check=True,
        capture_output=True,
    )
    scored = (project.root / "scored.csv").read_text().splitlines()
    assert [round(float(line.split(",")[-1]), 6) for line in scored[1:]] == [4.0, 7.0]
    for declared in (
        "schedule: '0 5 * * *', parameters: {data: new.csv, output: scored.csv}",
        "schedule: '0 6 * * *', parameters: {data: new.csv, output: scored.csv}",
        "flow: flows/scoring.py:score, parameters: {data: new.csv, output: scored.csv}",
        "path: /srv/abalone, parameters: {data: new.csv, output: scored.csv}",
        "parameters: {data: new.csv}",
    ):
        declare(project, f"{{dev: {{api: '{warm_api.url}', deploy: {{to: prefect, {declared}}}}}}}")
        (pending,) = project.plan("dev").pending
        assert str(pending) == f"repair {second}: what the target runs was altered"
        project.apply("dev")
        assert project.plan("dev").pending == (), declared
    in_no_words = "schedule: daily, parameters: {data: new.csv, output: scored.csv}"
    declare(project, f"{{dev: {{api: '{warm_api.url}', deploy: {{to: prefect, {in_no_words}}}}}}}")
    (pending,) = project.plan("dev").pending
    assert str(pending).startswith("repair"), "it is told where it is written, and stops no plan"
    project.promote(None, "dev")
    project.apply("dev")
    assert deployments.read_standing(warm_api.url, DEPLOYED) is None
    declare(project, "{dev: {api: 'http://127.0.0.1:9/api', deploy: {to: prefect}}}")
    project.promote(first, "dev")
    with pytest.raises(
        EngineError, match=r"the Prefect API http://127.0.0.1:9/api does not answer"
    ):
        project.plan("dev")
