"""Pictures into a table: `python -m leafnet.features --in pictures --size 12 --out table`."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image


def features(pictures: Path, size: int) -> pd.DataFrame:
    """Each picture, made small, as a row of brightnesses."""
    rows = {}
    for file in sorted(pictures.glob("*.png")):
        small = Image.open(file).convert("L").resize((size, size))
        rows[file.name] = np.asarray(small).ravel() / 255
    columns = [f"pixel_{number}" for number in range(size * size)]
    table = pd.DataFrame.from_dict(rows, "index", columns=columns)
    return table.rename_axis("picture").reset_index()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--in", dest="pictures", type=Path)
    parser.add_argument("--size", type=int)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    features(given.pictures, given.size).to_parquet(given.out)


if __name__ == "__main__":
    main()
