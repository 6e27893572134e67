"""What the Makefile needs around functions: files in, files out. A pipeline needs none of it."""

import argparse
import json
from pathlib import Path

import pandas as pd
import skops.io

from leafnet import training


def split(given: argparse.Namespace) -> None:
    parts = training.split(pd.read_parquet(given.source), pd.read_csv(given.labels))
    for name, leaves in parts.items():
        leaves.to_parquet(given.out / f"{name}.parquet")


def train(given: argparse.Namespace) -> None:
    leaves = [pd.read_parquet(given.source / f"{part}.parquet") for part in ("train", "valid")]
    made = training.train(*leaves, given.hidden, given.strength, given.activation)
    skops.io.dump(made["model"], given.out / "model.skops")
    (given.out / "score.json").write_text(json.dumps(made["score"]))


def choose(given: argparse.Namespace) -> None:
    scores = {str(trial): json.loads((trial / "score.json").read_text()) for trial in given.trials}
    table = pd.DataFrame.from_dict(scores, "index").rename_axis("trial")
    table.to_csv(given.out / "trials.csv")
    (given.out / "best").write_text(str(table["accuracy"].idxmax()))


def evaluate(given: argparse.Namespace) -> None:
    made = training.evaluate(skops.io.load(given.model), pd.read_parquet(given.source))
    (given.out / "metrics.json").write_text(json.dumps(made["metrics"]))
    made["predictions"].to_csv(given.out / "predictions.csv", index=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    programs = parser.add_subparsers(required=True)
    needs = {
        "split": {"--in": Path, "--labels": Path},
        "train": {"--in": Path, "--hidden": int, "--strength": float, "--activation": str},
        "choose": {},
        "evaluate": {"--in": Path, "--model": Path},
    }
    for name, words in needs.items():
        program = programs.add_parser(name)
        program.set_defaults(program=name)
        program.add_argument("--out", type=Path)
        for word, kind in words.items():
            program.add_argument(word, dest="source" if word == "--in" else None, type=kind)
    programs.choices["choose"].add_argument("--in", dest="trials", type=Path, nargs="+")
    given = parser.parse_args()
    {"split": split, "train": train, "choose": choose, "evaluate": evaluate}[given.program](given)


if __name__ == "__main__":
    main()
