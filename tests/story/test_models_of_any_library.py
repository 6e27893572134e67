"""Abalone with XGBoost, LightGBM and classes of the project's own, from training to prod."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas
import pytest

from own_home import use_api
from running import Project, make
from towpath import registry
from towpath.backends.prefect import server
from towpath.delivery import promotion, reconcile
from towpath.errors import TowpathError
from towpath.registry import VersionRecord
from towpath.versions import table_scoring
from towpath.versions.table_scoring import TransformRequest

TRUST = (
    "flows.training.steps.LogTransformer, xgboost.core.Booster, xgboost.sklearn.XGBRegressor, "
    "lightgbm.basic.Booster, lightgbm.sklearn.LGBMRegressor"
)
PROJECT = """\
name: abalone
trust: [{trust}]
stages:
  dev:
  prod:
    gates:
      golden: {{kind: golden, samples: tests/golden.csv, expected: rings, absolute: 30}}
      even: {{kind: function, run: "checks:passes", model: false}}
"""
PIPELINE = """\
inputs: {raw: data/abalone.csv}
steps:
  boosted: {kind: training, run: boosted, inputs: [raw], outputs: [model.skops]}
  light: {kind: training, run: light, inputs: [raw], outputs: [model.skops]}
  linear: {kind: training, run: linear, inputs: [raw], outputs: [model.skops]}
  wrapped: {run: wrapped, inputs: [linear.model], outputs: [model.skops]}
  save_boosted: {kind: register_model, as: boosted, inputs: [boosted.model]}
  save_light: {kind: register_model, as: light, inputs: [light.model]}
  save_linear: {kind: register_model, as: linear, inputs: [wrapped.model]}
"""
STEPS = '''\
import lightgbm
import numpy
import xgboost
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from shared.columns import NUMBERS


class LogTransformer(TransformerMixin, BaseEstimator):
    """Logarithms of what is not negative."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return numpy.log1p(numpy.asarray(X, dtype=float))


def fitted(model, raw):
    steps = (SimpleImputer(), LogTransformer(), SelectKBest(f_regression, k=3), model)
    return make_pipeline(*steps).fit(raw[NUMBERS], raw["rings"])


def boosted(raw):
    return fitted(xgboost.XGBRegressor(n_estimators=5, max_depth=2, n_jobs=1), raw)


def light(raw):
    return fitted(lightgbm.LGBMRegressor(n_estimators=5, n_jobs=1, verbose=-1), raw)


def linear(raw):
    return fitted(LinearRegression(), raw)


def wrapped(model):
    return FrozenEstimator(model)
'''
NUMBERS = ["length", "diameter", "height", "whole"]


def abalone() -> pandas.DataFrame:
    """Two hundred rows of the table that the template brings, with a gap."""
    templates = Path(__file__).resolve().parents[2] / "templates"
    (file,) = (templates / "tabular").glob("*/data/abalone.csv")
    table = pandas.read_csv(file)
    table.columns = [name.split("_")[0] if "_" in name else name for name in table.columns]
    kept = table.iloc[:200, 1:5].set_axis(NUMBERS, axis=1).assign(rings=table.iloc[:200, -1])
    kept.loc[3, "height"] = None
    return kept


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, warm_api: server.PrefectApi) -> Project:
    """Three models, one of each library, registered."""
    pytest.importorskip("xgboost")
    pytest.importorskip("lightgbm")
    rows = abalone()
    made = make(tmp_path_factory.mktemp("any") / "abalone")
    made.write("towpath.yaml", PROJECT.format(trust=TRUST))
    made.write("shared/columns.py", f"NUMBERS = {NUMBERS}\n")
    made.write("checks.py", "def passes(context):\n    return True\n")
    made.write("data/abalone.csv", rows.to_csv(index=False))
    made.write("tests/golden.csv", rows.head(5).to_csv(index=False))
    made.declare(PIPELINE, STEPS)
    made.git("init", "-q", "-b", "main")
    made.commit()
    with pytest.MonkeyPatch.context() as patch:
        use_api(warm_api, patch)
        assert made.run_by_prefect(require_register=True).exit_code == 0
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


def test_each_goes_from_training_to_prod(project: Project) -> None:
    for model in ("boosted", "light"):
        for stage in ("dev", "prod"):
            done = promote(project, f"{model}@v1.0.0", stage)
            assert done.exit_code == 0, done
            (outcome,) = done.outcomes
            assert outcome.words.startswith("3 rows predicted")
    project.code("numpy.log1p(", "numpy.nowhere(")  # what is loaded is the version's own
    output = project.root / "scored.csv"
    asked = TransformRequest("boosted#prod", project.root / "tests/golden.csv", output)
    assert table_scoring.transform_table(project.workspace, asked).rows == 5
    assert pandas.read_csv(output)["prediction"].between(1, 30).all()
    project.code("numpy.nowhere(", "numpy.log1p(")
    page = project.git("show", "main:registry/evidence/boosted/v1.0.0-prod.md")
    assert "**Code of its own:** to load it runs `flows.training.steps.LogTransformer` of " in page
    assert "prod runs none of it now." in page


def test_the_record_says_what_a_file_needs_and_keeps_the_signature(project: Project) -> None:
    boosted, linear = found(project, "boosted@v1.0.0"), found(project, "linear@v1.0.0")
    own = "flows.training.steps.LogTransformer"
    assert boosted.needs == (own, "xgboost.core.Booster", "xgboost.sklearn.XGBRegressor")
    assert linear.needs == (own,)
    assert boosted.signature and linear.signature
    assert [column.type for column in linear.signature.inputs or ()] == ["number"] * 4
    assert [column.name for column in linear.signature.inputs or ()] == NUMBERS
    assert linear.signature.outputs == boosted.signature.outputs


def test_code_of_a_branch_enters_the_first_stage_alone(project: Project) -> None:
    project.git("switch", "-qc", "topic")
    project.code("FrozenEstimator(model)", "FrozenEstimator(FrozenEstimator(model))")
    project.commit()
    assert project.run_by_prefect(require_register=True).exit_code == 0
    project.git("switch", "-qf", "main")
    version = found(project, "linear@latest").version
    assert promote(project, f"linear@{version}", "dev").exit_code == 0
    with pytest.raises(TowpathError) as raised:
        promote(project, f"linear@{version}", "prod")
    (fault,) = raised.value.faults
    assert fault.what.startswith(f"linear@{version} holds flows.training.steps.LogTransformer, of ")
    assert "which main's history does not hold" in fault.what
