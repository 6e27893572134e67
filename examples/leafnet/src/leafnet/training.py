"""Parts, training and measurement of a small net."""

from __future__ import annotations

import pandas as pd
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

TARGET = "species"


def split(features: pd.DataFrame, labels: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Half of each species to train on, a quarter to choose by, a quarter to test with."""
    leaves = features.merge(labels, on="picture", validate="one_to_one")
    train, rest = train_test_split(leaves, test_size=0.5, stratify=leaves[TARGET], random_state=0)
    valid, test = train_test_split(rest, test_size=0.5, stratify=rest[TARGET], random_state=0)
    return {"train": train, "valid": valid, "test": test}


def pixels(leaves: pd.DataFrame) -> pd.DataFrame:
    """What a net sees of leaves."""
    return leaves.drop(columns=["picture", TARGET])


def train(
    train: pd.DataFrame, valid: pd.DataFrame, hidden: int, strength: float, activation: str
) -> dict[str, object]:
    """One trial: fit a net, and measure it on leaves that are only chosen by."""
    net = MLPClassifier(
        hidden_layer_sizes=(hidden,), alpha=strength, activation=activation,
        solver="lbfgs", max_iter=400, random_state=0,
    )  # fmt: skip
    net.fit(pixels(train), train[TARGET])
    score = accuracy_score(valid[TARGET], net.predict(pixels(valid)))
    return {"model": net, "score": {"accuracy": float(score)}}


def evaluate(model: MLPClassifier, test: pd.DataFrame) -> dict[str, object]:
    """Measure the best net on leaves that nothing was chosen by."""
    chances = pd.DataFrame(model.predict_proba(pixels(test)), columns=model.classes_)
    predictions = pd.DataFrame(
        {
            "picture": test["picture"].to_numpy(),
            "actual": test[TARGET].to_numpy(),
            "predicted": chances.idxmax(axis=1),
            "chance": chances.max(axis=1),
        }
    )
    accuracy = accuracy_score(predictions["actual"], predictions["predicted"])
    metrics = {"accuracy": float(accuracy), "leaves": len(test)}
    return {"metrics": metrics, "predictions": predictions}
