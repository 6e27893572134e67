"""Counts the words of posts, weighed by how rare they are."""

import argparse
from pathlib import Path

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("prepared", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("--max-features", type=int)
    parser.add_argument("--ngrams", type=int)
    given = parser.parse_args()
    words = TfidfVectorizer(
        stop_words="english", max_features=given.max_features, ngram_range=(1, given.ngrams)
    )
    names = ["id", "label", "text"]
    train, test = (
        pd.read_csv(given.prepared / f"{part}.tsv", sep="\t", names=names)
        for part in ("train", "test")
    )
    words.fit(train["text"])
    for part, posts in (("train", train), ("test", test)):
        weights = words.transform(posts["text"]).toarray()
        table = pd.DataFrame(weights, columns=words.get_feature_names_out())
        table.insert(0, "label", posts["label"])
        table.to_parquet(given.features / f"{part}.parquet")


if __name__ == "__main__":
    main()
