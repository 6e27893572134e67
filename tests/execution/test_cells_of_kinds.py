"""Kinds other than functions with `each`: a check, a bundle and a registration for each item."""

from __future__ import annotations

from running import FOLDER, Project, reasons, states

PIPELINE = """
params: {regions: [north, south], rows: 30, most: 30}
inputs: {raw: data/raw.csv}
steps:
  load:
    run: load
    each: {region: regions}
    inputs: [raw]
    params: [region, rows]
    outputs: [table.csv]
  check:
    kind: quality_check
    each: {region: regions}
    inputs: {data: load.table}
    expectations: suites/{region}.yaml
  train:
    kind: training
    run: train
    each: {region: regions}
    inputs: {table: check.data}
    params: [most]
    outputs: [model.skops, score.json]
  bundle:
    kind: create_model
    each: {region: regions}
    inputs: {model: train.model, samples: load.table}
  register:
    kind: register_model
    each: {region: regions}
    as: sales-{region}
    inputs: {model: bundle.model, score: train.score}
    labels: {rows: "{train.score.rows:d}", region: "{region}"}
  report: {run: report, inputs: [check.result], outputs: [report.json]}
"""

STEPS = """
import pandas as pd
from sklearn.linear_model import LinearRegression


def load(raw: pd.DataFrame, region: str, rows: int) -> pd.DataFrame:
    return raw[raw.region == region].drop(columns="region").head(rows)


def train(table: pd.DataFrame, most: int) -> dict:
    table = table.head(most)
    model = LinearRegression().fit(table[["x"]], table["y"])
    return {"model": model, "score": {"rows": len(table)}}


def report(result: list) -> list:
    return [row["region"] for row in result]
"""

SUITE = """\
expectations:
  - {type: expect_column_values_to_not_be_null, column: x}
"""


def test_a_check_a_bundle_and_a_version_for_each_item(project: Project) -> None:
    project.declare(PIPELINE, STEPS)
    rows = [f"{region},{x},{2 * x}" for region in ("north", "south") for x in range(30)]
    project.write("data/raw.csv", "\n".join(["region,x,y", *rows]) + "\n")
    for region in ("north", "south"):
        project.write(f"{FOLDER}/suites/{region}.yaml", SUITE)
    (project.root / FOLDER / "suites" / "south.yaml").rename(project.root / "south.yaml")
    assert f"there is no {FOLDER}/suites/south.yaml" in project.towpath("check").err
    (project.root / "south.yaml").rename(project.root / FOLDER / "suites" / "south.yaml")
    project.commit()

    run = project.run()
    assert run.exit_code == 0, run.error
    assert project.tags() == ["sales-north@v1.0.0", "sales-south@v1.0.0"]
    assert project.output("report/report.json") == ["north", "south"]
    shown = project.towpath("show", "sales-south@v1.0.0").out
    assert "region  south" in shown and "rows    30" in shown
    held = (project.root / "dvc.yaml").read_text()
    assert f"{FOLDER}/suites/north.yaml" in held and f"{FOLDER}/suites/south.yaml" in held
    assert "artifacts/training/bundle/model/south.bundle" in held
    assert set(states(project.run()).values()) == {"reused"}

    # Only the check whose suite says more runs again; where it says no, no model is registered.
    project.write(f"{FOLDER}/suites/south.yaml", SUITE.replace("column: x", "column: z"))
    plan = project.plan()
    assert plan["check@north"].startswith("reuse")
    assert plan["check@south"] == "run: code of `suites/south.yaml` changed"
    refused = project.run()
    assert refused.exit_code == 3
    assert states(refused)["check@south"] == "refused"
    assert reasons(refused)["register"] == "`check` failed"
    assert states(refused)["train@north"] == "reused"

    project.write(f"{FOLDER}/suites/south.yaml", SUITE)
    # A trial keeps what would be registered of each.
    trial = project.run(params={"most": 20})
    assert trial.exit_code == 0, trial.error
    assert states(trial)["check@south"] == "reused"
    assert len(project.tags()) == 2
    assert project.towpath("register", trial.id).code == 0
    assert project.tags()[1::2] == ["sales-north@v1.1.0", "sales-south@v1.1.0"]
