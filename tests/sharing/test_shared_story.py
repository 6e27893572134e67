"""From a project to a stage of a registry that the template made; tables scored with it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas
import pytest
from click.testing import CliRunner

from running import FOLDER, Project, make
from towpath import projects
from towpath.backends.prefect import server
from towpath.cli.main import towpath
from towpath.errors import Refused, TowpathError

STEPS = '''\
"""A line through points."""

from sklearn.linear_model import LinearRegression


def fit(raw):
    return LinearRegression().fit(raw[["x"]], raw["y"])


def score(model, raw) -> dict:
    return {"error": float(abs(model.predict(raw[["x"]]) - raw["y"]).mean())}
'''

PIPELINE = """\
inputs: {raw: data/raw.csv}
steps:
  fit: {kind: training, run: fit, inputs: [raw], outputs: [model.skops]}
  score: {kind: evaluation, run: score, inputs: [fit.model, raw], outputs: [metrics.json]}
  register: {kind: register_model, as: line, inputs: [fit.model, score.metrics]}
"""
SCORING = """\
inputs: {model: "line#dev", new: data/new.csv}
steps:
  apply: {kind: batch_transform, inputs: {model: model, data: new}, outputs: [scored.csv]}
"""
#: Files called in one Python: what they import takes four seconds.
ONE_BY_ONE = """
import json, runpy, sys
for sys.argv in json.loads(sys.argv[1]):
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
BOB = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Bob"), ("EMAIL", "bob@example.org"))
}


def test_from_a_project_to_a_stage_and_to_scores(
    tmp_path: Path, warm_api: server.PrefectApi
) -> None:
    registry, line = begun(tmp_path / "shared story")
    promoted_in_the_registry(registry, line)
    promoted_from_the_project(registry, line)
    scored(registry, line, tmp_path)
    in_another_pipeline(line)
    scored_with_wrong_bytes(registry, tmp_path)
    as_flows(registry, warm_api, tmp_path)


def begun(here: Path) -> tuple[Project, Project]:
    """A registry out of the template, and a project that has no stages of its own."""
    here.mkdir()
    store, origin = str(here / "store"), here / "models.git"
    registry = Project(projects.make_from_template("registry", here, {"store": store}, ask=False))
    registry.edit(
        "towpath.yaml",
        "    description: what is tried\n",
        "    store: ../dev\n    gates: {loads: {kind: safe}}\n",
    )
    registry.commit("a store for dev")
    registry.git("clone", "-q", "--bare", ".", str(origin))
    registry.git("remote", "add", "origin", str(origin))
    line = make(
        here / "line",
        {
            "towpath.yaml": f"name: line\nregistry: {origin.as_uri()}\n",
            f"{FOLDER}/pipeline.yaml": PIPELINE,
            f"{FOLDER}/steps.py": STEPS,
            "data/raw.csv": "x,y\n1,3\n2,5\n3,7\n",
            ".dvc/config": f"[core]\n    remote = store\n['remote \"store\"']\n    url = {store}\n",
        },
    )
    line.git("init", "-q", "-b", "main")
    line.commit()
    return registry, line


def told(project: Project, *words: str, **environment: str) -> str:
    """What a command that must be done says on both streams, called in this process."""
    said = CliRunner().invoke(towpath, ["-C", str(project.root), *words], env=environment)
    if said.exception and not isinstance(said.exception, SystemExit):
        raise said.exception
    assert said.exit_code == 0, said.output
    return said.output


def promoted_in_the_registry(registry: Project, line: Project) -> None:
    """Registered by the project, promoted and reconciled where the registry is kept."""
    line.run(push=True)
    told(registry, "fetch")
    assert "line@v1.0.0" in told(registry, "models")
    told(registry, "promote", "line@v1.0.0", "--to", "dev")
    with pytest.raises(Refused, match="the policy wants another to approve"):
        told(registry, "approve", "promote/line-v1.0.0-dev")
    told(registry, "approve", "promote/line-v1.0.0-dev", "--push", **BOB)
    # In a process of its own: in this one Prefect may have been imported before the API was named.
    assert registry.towpath("reconcile", "dev", "--apply").out.count("deploy v1.0.0") == 1
    told(line, "fetch")
    (version,) = json.loads(told(line, "models", "--json"))["models"]
    assert version["stages"] == ["dev"]
    assert "Bob" in told(line, "history", "line", "--stage", "dev")
    for one in (line, registry):
        assert "as the merged stage files say" in told(one, "verify")
    assert "byte for byte the same" in told(line, "reproduce", "line@v1.0.0")


def promoted_from_the_project(registry: Project, line: Project) -> None:
    """The same from the project's folder: the policy is the registry's."""
    with pytest.raises(TowpathError, match="uat"):
        told(line, "promote", "line@v1.0.0", "--to", "prod")
    told(line, "promote", "line@v1.0.0", "--to", "uat")
    assert "towpath push" in told(line, "approve", "promote/line-v1.0.0-uat", **BOB)
    assert "what was approved here" in told(line, "push")
    registry.git("pull", "-q", "origin", "main")
    assert (registry.root / "registry" / "stages" / "uat" / "line.yaml").is_file()


def scored(registry: Project, line: Project, tmp_path: Path) -> None:
    """By a version's number from a store of the project, by a stage from the stage's own."""
    data = tmp_path / "new.csv"
    data.write_text("x\n10\n20\n")
    for project in (registry, line):
        out = tmp_path / f"{project.root.name}.parquet"
        said = told(project, "transform", "line@v1.0.0", str(data), "-o", str(out))
        assert "2 rows scored with line@v1.0.0" in said
        assert pandas.read_parquet(out)["prediction"].tolist() == pytest.approx([21.0, 41.0])
    out = tmp_path / "dev.csv"
    said = told(registry, "transform", "line#dev", str(data), "-o", str(out), "--batch-size", "1")
    assert "from the store of dev" in said
    assert pandas.read_csv(out)["prediction"].round(6).tolist() == [21.0, 41.0]


def in_another_pipeline(line: Project) -> None:
    """A project that never saw the model's bytes takes what dev runs as an input."""
    address = line.workspace.project.registry
    other = make(
        line.root.parent / "other",
        {
            "towpath.yaml": f"name: other\nregistry: {address}\n",
            f"{FOLDER}/pipeline.yaml": SCORING,
            "data/new.csv": "x\n10\n",
        },
    )
    other.git("init", "-q")
    assert other.run().error == ()
    assert pandas.read_csv(other.artifacts / "apply" / "scored.csv").shape == (1, 2)


def scored_with_wrong_bytes(registry: Project, tmp_path: Path) -> None:
    """Nothing is scored with bytes that are not the record's, and nothing half-written."""
    data, out = tmp_path / "new.csv", tmp_path / "altered.csv"
    wrong = registry.towpath("transform", "line#dev", "no.txt", "-o", str(tmp_path / "x.md"))
    assert wrong.code == 2
    assert all(text in wrong.err for text in ("no.txt is no table", "x.md is no table", "no file"))
    (stored,) = (registry.root.parent / "dev").glob("files/md5/??/*")
    stored.chmod(0o644)
    whole = stored.read_bytes()
    stored.write_bytes(b"other bytes")
    altered = registry.towpath("transform", "line#dev", str(data), "-o", str(out))
    assert altered.code == 1
    assert "holds other bytes than its record says" in altered.err
    assert not out.exists()
    stored.write_bytes(whole)


def as_flows(registry: Project, warm_api: server.PrefectApi, tmp_path: Path) -> None:
    """As Prefect runs them: by the file that ``prefect.yaml`` names, in the registry's folder."""
    (tmp_path / "new.csv").write_text("x\n10\n")
    environment = dict(os.environ)  # it names the API

    (stored,) = (registry.root.parent / "dev").glob("files/md5/??/*")
    stored.chmod(0o644)
    stored.unlink()
    out = tmp_path / "scored.csv"
    calls = [
        ["flows/reconcile/flow.py", "dev"],
        ["flows/batch_transform/flow.py", "line#dev", str(tmp_path / "new.csv"), str(out)],
    ]
    done = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE, json.dumps(calls)],
        cwd=registry.root, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert stored.is_file(), "the flow brought the bytes back"
    assert pandas.read_csv(out)["prediction"].round(6).tolist() == [21.0]
    assert asyncio.run(flow_runs(warm_api.url)) >= {"reconcile", "batch_transform"}
    said = prefect(registry, environment, "deploy", "--all")
    for name in ("reconcile/dev", "reconcile/uat", "reconcile/prod", "batch_transform/any"):
        assert name in said


def prefect(registry: Project, environment: Mapping[str, str], *words: str) -> str:
    """Stock Prefect in the registry's folder; its answer, without line breaks."""
    call = [sys.executable, "-m", "prefect", *words]
    said = subprocess.run(
        call, cwd=registry.root, env=environment, capture_output=True, text=True, timeout=120
    )
    assert said.returncode == 0, said.stdout + said.stderr
    return " ".join(said.stdout.split())


async def flow_runs(api: str) -> set[str]:
    """Of the registry's flows those that a Prefect API knows runs of; a work pool is made there,
    too. The API is shared, and tells of two hundred runs at most."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api}):
        async with get_client() as client:
            pool = WorkPoolCreate(name="towpath", type="process")
            await client.create_work_pool(pool, overwrite=True)
            ours = FlowFilter(name=FlowFilterName(any_=["reconcile", "batch_transform"]))
            flows = {flow.id: flow.name for flow in await client.read_flows(flow_filter=ours)}
            return {flows[run.flow_id] for run in await client.read_flow_runs(flow_filter=ours)}
