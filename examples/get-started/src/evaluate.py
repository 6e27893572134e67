"""Measures the forest on both parts: figures, curves, and what it goes by."""

import json
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import skops.io
from sklearn import metrics

matplotlib.use("Agg")
from matplotlib import pyplot

PARTS = ("train", "test")
WORDS = {0: "another", 1: "R"}


def measure(part: str, label: pd.Series, chance: pd.Series) -> dict[str, object]:
    """The figures of a part, and the tables of its curves."""
    false, true, _ = metrics.roc_curve(label, chance)
    precision, recall, _ = metrics.precision_recall_curve(label, chance)
    predicted = (chance > 0.5).astype(int)
    return {
        "avg_prec": metrics.average_precision_score(label, chance),
        "roc_auc": metrics.roc_auc_score(label, chance),
        "roc": pd.DataFrame({"part": part, "fpr": false, "tpr": true}),
        "prc": pd.DataFrame({"part": part, "recall": recall, "precision": precision}),
        "confusion": pd.DataFrame({"actual": label, "predicted": predicted}).replace(WORDS),
    }


def main() -> None:
    model_file, features, scores_file, *curve_files, picture = map(Path, sys.argv[1:])
    model = skops.io.load(model_file, trusted=["sklearn.tree._tree.Tree"])
    made = {}
    for part in PARTS:
        table = pd.read_parquet(features / f"{part}.parquet")
        words = table.drop(columns="label")
        made[part] = measure(part, table["label"], model.predict_proba(words)[:, 1])
    scores = {name: {part: made[part][name] for part in PARTS} for name in ("avg_prec", "roc_auc")}
    scores_file.write_text(json.dumps(scores))
    for name, file in zip(("roc", "prc"), curve_files, strict=False):
        pd.concat(made[part][name] for part in PARTS).to_csv(file, index=False)
    made["test"]["confusion"].to_csv(curve_files[2], index=False)

    importance = pd.Series(model.feature_importances_, index=model.feature_names_in_)
    figure, axes = pyplot.subplots(layout="constrained")
    importance.nlargest(20).plot.bar(ax=axes, ylabel="Mean decrease in impurity")
    figure.savefig(picture)


if __name__ == "__main__":
    main()
