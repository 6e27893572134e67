"""Parts posts, a line of XML each, into a table to train on and one to test with."""

import argparse
import random
import re
from pathlib import Path
from xml.etree import ElementTree

TAG = "<r>"


def row_of(post: str) -> str:
    """A post as number, label and text."""
    fields = ElementTree.fromstring(post).attrib
    text = re.sub(r"\s+", " ", f"{fields['Title']} {fields['Body']}").strip()
    return f"{fields['Id']}\t{int(TAG in fields['Tags'])}\t{text}\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("posts", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--split", type=float)
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with (
        (given.prepared / "train.tsv").open("w") as train,
        (given.prepared / "test.tsv").open("w") as test,
    ):
        for post in given.posts.read_text().splitlines():
            (train if draw.random() > given.split else test).write(row_of(post))


if __name__ == "__main__":
    main()
