"""Fits a forest on the words of posts."""

import argparse
from pathlib import Path

import pandas as pd
import skops.io
from sklearn.ensemble import RandomForestClassifier


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("features", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--n-est", type=int)
    parser.add_argument("--min-split", type=float)
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    table = pd.read_parquet(given.features / "train.parquet")
    forest = RandomForestClassifier(
        n_estimators=given.n_est, min_samples_split=given.min_split, random_state=given.seed
    )
    skops.io.dump(forest.fit(table.drop(columns="label"), table["label"]), given.model)


if __name__ == "__main__":
    main()
