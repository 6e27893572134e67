"""What a smoke test does in its sandbox: models predict the same few rows, side by side.

Two that bring code of their own are asked one after the other, each in a sandbox: their classes
have the same names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from towpath.errors import TowpathError

ROWS = 20
_VALUES: Mapping[str, tuple[Any, ...]] = {
    "integer": (1, 2, 5), "number": (0.5, 1.0, 2.5), "boolean": (True, False, True),
    "string": ("a", "b", "a"), "category": ("a", "b", "a"), "unknown": (0.5, 1.0, 2.5),
}  # fmt: skip


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """``{"rows": n, "models": [{"predictions": [...]} or {"error": "..."}], "words": {...},
    "packages": [...]}``: the words that encoders know of a column, which the next sandbox's
    question hands on, and what the first model's record says of packages that is not so here."""
    from towpath.steps.formats.jsons import plain_json
    from towpath.steps.model_io import own_classes

    loaded = [_load_model(entry, question["trust"]) for entry in question["models"]]
    words_by_column = dict(question["words"])
    for model, _ in loaded:
        words_by_column |= _learned_categories(model)
    table = _sample_table(question, words_by_column)
    failure = _judge_samples(question["models"][0], loaded[0][0])
    results = [
        _predict_rows(model, table) if model is not None else {"error": error}
        for model, error in loaded
    ]
    if failure:
        results[0] = {"error": failure}
    first = question["models"][0]
    return {
        "rows": len(table),
        "models": results,
        "words": {name: plain_json(words) for name, words in words_by_column.items()},
        "packages": own_classes.compare_recorded(Path(first["path"]), first["path"], first["own"]),
    }


def _load_model(entry: Mapping[str, Any], trust: list[str]) -> tuple[Any, str]:
    from towpath.steps.model_io import score_model

    try:
        return score_model.read_model_file(Path(entry["path"]), trust, entry["own"]), ""
    except TowpathError as error:
        return None, str(error)
    except Exception as error:  # its own code may raise anything when it is imported
        return None, f"{type(error).__name__}: {error}"


def _judge_samples(entry: Mapping[str, Any], model: Any) -> str:
    """How a bundled model predicts otherwise here than when it was made; empty where it does not,
    and for any other model."""
    from towpath.steps.model_io import model_bundles

    path = Path(entry["path"])
    if model is None or not model_bundles.is_bundle(path.name):
        return ""
    try:
        return model_bundles.explain_other_predictions(path, model)
    except Exception as error:  # whatever the model's code raises is the answer
        return f"{type(error).__name__}: {error}"


def _sample_table(asked: Mapping[str, Any], known: Mapping[str, list[Any]]) -> Any:
    """The sample's first rows, or rows of the types that the signature names."""
    import pandas

    from towpath.steps import formats

    if sample := asked["sample"]:
        path = Path(sample)
        return next(formats.read_file_parts(path, formats.ReadRequest(path.name), None)).head(ROWS)
    return pandas.DataFrame(
        {column["name"]: _sample_column(column, known) for column in asked["columns"]}
        if asked["columns"]
        else {str(number): _VALUES["number"] for number in range(asked["features"] or 1)}
    )


def _sample_column(column: Mapping[str, str], known: Mapping[str, list[Any]]) -> Any:
    import pandas

    if column["type"] == "datetime":
        return pandas.date_range("2026-01-01", periods=3)
    words = known.get(column["name"])
    values = _VALUES.get(column["type"], _VALUES["unknown"])
    return [words[place % len(words)] for place in range(len(values))] if words else values


def _learned_categories(model: Any) -> dict[str, list[Any]]:
    """What encoders inside a model have learned that a column may hold."""
    words_by_column: dict[str, list[Any]] = {}
    parts: list[Any] = [model]
    for part in parts:
        for name, words in zip(
            getattr(part, "feature_names_in_", ()), getattr(part, "categories_", ()), strict=False
        ):
            words_by_column[str(name)] = [
                word for word in words if word == word and word is not None
            ]
        inner = [step[1] for step in getattr(part, "steps", ())]
        inner += [step[1] for step in getattr(part, "transformers_", ())]
        parts += [inner_part for inner_part in inner if hasattr(inner_part, "fit")]
    return words_by_column


def _predict_rows(model: Any, table: Any) -> dict[str, Any]:
    from towpath.steps.kinds.batch_transform import add_predictions

    try:
        predicted = add_predictions(model, table)
        columns = [name for name in predicted.columns if name not in table.columns]
        values = predicted[columns].to_numpy().ravel().tolist()
    except Exception as error:  # whatever the model's code raises is the answer
        return {"error": f"{type(error).__name__}: {error}"}
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        return {"error": "it predicts values that are no numbers"}
    return {"predictions": values}
