"""Models that are put together, and models of any library, from training to prod and elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

import towpath
from own_home import use_api
from running import Project, make
from towpath import registry
from towpath.backends.prefect import server
from towpath.delivery import promotion, reconcile
from towpath.errors import Refused, TowpathError
from towpath.registry import VersionRecord
from towpath.versions import table_scoring
from towpath.versions.table_scoring import TransformRequest

TRUST = "flows.training.steps.in_years, shared.nets.predict, shared.nets.load"
PROJECT = """\
name: abalone
trust: [{trust}]
stages:
  dev:
  prod:
    gates:
      golden: {{kind: golden, samples: tests/golden.csv, expected: rings, absolute: 30}}
      signature: {{kind: signature}}
"""
PIPELINE = """\
inputs: {raw: data/abalone.csv}
steps:
  train:
    kind: training
    run: train
    inputs: [raw]
    outputs: [features.skops, model.skops, net.bin, scores.json]
  ages:
    kind: create_model
    description: Years from a shell's measures.
    inputs: {features: train.features, model: train.model, samples: raw, metrics: train.scores}
    chain: [features, model, in_years]
    rows: 5
  nets:
    kind: create_model
    inputs: {net: train.net, samples: raw}
    load: shared.nets:load
    predict: shared.nets:predict
    columns: [length, height]
    code: [shared/words.txt]
  score: {kind: batch_transform, inputs: {model: ages.model, data: raw}, outputs: [scored.csv]}
  look: {kind: evaluation, run: look, inputs: {model: nets.model, raw: raw}, outputs: [seen.json]}
  save_ages: {kind: register_model, as: ages, inputs: [ages.model, train.scores]}
  save_nets: {kind: register_model, as: nets, inputs: [nets.model]}
"""
STEPS = """\
import pickle

from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from shared.columns import NUMBERS


def train(raw):
    table = raw[NUMBERS].fillna(0)
    features = StandardScaler().fit(table)
    model = LinearRegression().fit(features.transform(table), raw["rings"])
    net = pickle.dumps({"a": 2.0, "b": 1.0})
    return {"features": features, "model": model, "net": net, "scores": {"mae": 1.5}}


def in_years(rings):
    return rings + 1.5


def look(model, raw) -> dict:
    return {"first": float(model.predict(raw)[0])}
"""
NETS = '''\
"""What is no estimator: bytes of any kind."""

import pickle
from pathlib import Path

WORDS = Path(__file__).with_name("words.txt")


def load(net):
    return {**pickle.loads(net.read_bytes()), "c": float(WORDS.read_text())}


def predict(model, data):
    return model["a"] * data["length"] + model["b"] * data["height"] + model["c"]
'''
NUMBERS = ["length", "diameter", "height", "whole"]


def shells() -> pandas.DataFrame:
    """A hundred rows, of numbers that repeat."""
    rows = range(100)
    table = pandas.DataFrame({name: [(i * (n + 3)) % 17 / 10 for i in rows]
                              for n, name in enumerate(NUMBERS)})  # fmt: skip
    return table.assign(sex=["M" if i % 2 else "F" for i in rows], rings=[i % 12 for i in rows])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, warm_api: server.PrefectApi) -> Project:
    """Two models, a chain and one of no library, registered."""
    made = make(tmp_path_factory.mktemp("bundled") / "abalone")
    made.write("towpath.yaml", PROJECT.format(trust=TRUST))
    made.write("shared/columns.py", f"NUMBERS = {NUMBERS}\n")
    made.write("shared/nets.py", NETS)
    made.write("shared/words.txt", "0.25\n")
    made.write("data/abalone.csv", shells().to_csv(index=False))
    made.write("tests/golden.csv", shells().head(5).to_csv(index=False))
    made.declare(PIPELINE, STEPS)
    made.git("init", "-q", "-b", "main")
    made.commit()
    with pytest.MonkeyPatch.context() as patch:
        use_api(warm_api, patch)
        ended = made.run_by_prefect(require_register=True)
        assert ended.exit_code == 0, ended
    return made


def found(project: Project, reference: str) -> VersionRecord:
    return registry.get_version(project.workspace.registry, reference).record


def promote(project: Project, reference: str, stage: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        proposed = promotion.propose_promotion(project.workspace, reference, stage)
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Bo")
            patch.setenv(f"GIT_{role}_EMAIL", "bo@example.org")
        promotion.approve_promotion(project.workspace, proposed.branch)
    return reconcile.reconcile_stage(project.workspace, stage)


def bundle(project: Project, step: str) -> Path:
    return project.root / f"artifacts/training/{step}/model.bundle"


def test_a_bundle_holds_all_that_it_needs(project: Project) -> None:
    ages, nets = bundle(project, "ages"), bundle(project, "nets")
    code = {path.relative_to(ages / "code").as_posix() for path in (ages / "code").rglob("*.py")}
    assert code == {"flows/training/steps.py", "shared/columns.py"}
    assert (nets / "code/shared/words.txt").read_text() == "0.25\n"
    pins = (ages / "requirements.txt").read_text()
    assert "scikit-learn==" in pins and "pandas==" in pins and "prefect==" not in pins
    samples = json.loads((ages / "samples.json").read_text())
    assert len(samples) == 5 and list(samples[0]["inputs"]) == NUMBERS
    card = (ages / "README.md").read_text()
    assert "Years from a shell's measures." in card and "| `mae` | `1.5` |" in card
    record = found(project, "ages@v1.0.0")
    assert record.kind == "bundle" and record.needs == ("flows.training.steps.in_years",)
    assert record.signature and [c.name for c in record.signature.inputs or ()] == NUMBERS
    scored = pandas.read_csv(project.root / "artifacts/training/score/scored.csv")
    assert scored["prediction"].iloc[0] == pytest.approx(samples[0]["expected"])
    seen = json.loads((project.root / "artifacts/training/look/seen.json").read_text())
    assert seen == {"first": pytest.approx(2.0 * 0 + 0.25)}


def test_it_goes_to_prod_and_is_used_there(project: Project) -> None:
    for model in ("ages", "nets"):
        for stage in ("dev", "prod"):
            done = promote(project, f"{model}@v1.0.0", stage)
            assert done.exit_code == 0, done
            assert "rows predicted" in done.outcomes[-1].words, done
    output = project.root / "scored.csv"
    asked = TransformRequest("nets#prod", project.root / "tests/golden.csv", output)
    assert table_scoring.transform_table(project.workspace, asked).rows == 5
    model = towpath.load("ages#prod", project=project.root)
    samples = json.loads((bundle(project, "ages") / "samples.json").read_text())
    given = model.predict(pandas.DataFrame([sample["inputs"] for sample in samples]))
    assert list(given) == pytest.approx([sample["expected"] for sample in samples])
    page = project.git("show", "main:registry/evidence/ages/v1.0.0-prod.md")
    assert "to load it runs `flows.training.steps.in_years` of " in page


def test_what_trust_does_not_name_runs_nowhere(project: Project) -> None:
    project.write("towpath.yaml", PROJECT.format(trust="shared.nets.predict"))
    try:
        with pytest.raises((Refused, TowpathError)) as raised:
            towpath.load("nets@v1.0.0", project=project.root)
    finally:
        project.write("towpath.yaml", PROJECT.format(trust=TRUST))
    assert "it runs or holds shared.nets.load" in str(raised.value.faults[0])
