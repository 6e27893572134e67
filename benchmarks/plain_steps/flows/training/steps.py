"""The six steps without pandas, as peers are measured by: csv and numpy, pickles in between."""

import csv
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestRegressor

SEXES = ["F", "I", "M"]
MEASURES = [
    "length",
    "diameter",
    "height",
    "whole_weight",
    "shucked_weight",
    "viscera_weight",
    "shell_weight",
]


def ingest(raw: Path) -> list[dict[str, str]]:
    """The rows of the table, as text."""
    with raw.open(newline="") as file:
        return list(csv.DictReader(file))


def check(rows: list) -> dict:
    """Enough rows, known sexes, sizes that can be, rings that were counted."""
    if len(rows) < 1000:
        raise ValueError(f"too few rows: {len(rows)}")
    for number, row in enumerate(rows):
        if row["sex"] not in SEXES or int(row["rings"]) < 1:
            raise ValueError(f"row {number}: {row}")
        if any(not 0 <= float(row[name]) < 100 for name in MEASURES):
            raise ValueError(f"row {number}: a size out of range: {row}")
    return {"rows": len(rows)}


def prepare(rows: list, report: dict) -> dict:
    """Numbers instead of text, four fifths to train on."""
    x = np.array(
        [
            [row["sex"] == sex for sex in SEXES] + [float(row[name]) for name in MEASURES]
            for row in rows
        ],
        dtype="float64",
    )
    y = np.array([int(row["rings"]) for row in rows])
    order = np.random.default_rng(7).permutation(report["rows"])
    train, test = np.split(order, [report["rows"] * 4 // 5])
    return {"x_train": x[train], "y_train": y[train], "x_test": x[test], "y_test": y[test]}


def train(parts: dict, trees: int, depth: int, seed: int) -> RandomForestRegressor:
    """Fit a forest."""
    forest = RandomForestRegressor(n_estimators=trees, max_depth=depth, random_state=seed, n_jobs=1)
    return forest.fit(parts["x_train"], parts["y_train"])


def evaluate(model: RandomForestRegressor, parts: dict) -> dict:
    """How far off it is, and how much of the variance it explains."""
    truth = parts["y_test"]
    errors = model.predict(parts["x_test"]) - truth
    total = float(((truth - truth.mean()) ** 2).sum())
    return {
        "rmse": float(np.sqrt((errors**2).mean())),
        "r2": 1 - float((errors**2).sum()) / total,
    }
