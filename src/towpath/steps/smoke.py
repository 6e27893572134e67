"""What a smoke test does in its sandbox: two models predict the same few rows, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from towpath.errors import TowpathError

ROWS = 20
_VALUES: Mapping[str, tuple[Any, ...]] = {
    "integer": (1, 2, 5),
    "number": (0.5, 1.0, 2.5),
    "boolean": (True, False, True),
    "string": ("a", "b", "a"),
    "category": ("a", "b", "a"),
    "unknown": (0.5, 1.0, 2.5),
}


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """``{"rows": n, "models": [{"predictions": [...]} or {"error": "..."}]}``."""
    loaded = [_loaded(Path(path), question["trust"]) for path in question["models"]]
    table = _table(question, [model for model, _ in loaded if model is not None])
    results = [
        _predicted(model, table) if model is not None else {"error": error}
        for model, error in loaded
    ]
    return {"rows": len(table), "models": results}


def _loaded(path: Path, trust: list[str]) -> tuple[Any, str]:
    from towpath.steps import scoring

    try:
        return scoring.read(path, trust), ""
    except TowpathError as error:
        return None, str(error)


def _table(asked: Mapping[str, Any], models: list[Any]) -> Any:
    """The sample's first rows, or rows of the types that the signature names."""
    import pandas

    from towpath.steps import formats, tables

    if sample := asked["sample"]:
        path = Path(sample)
        source = tables.Source(path, path.name, formats.known(path.name))
        return next(source.parts(None)).head(ROWS)
    known = {name: words for model in models for name, words in _categories(model).items()}
    return pandas.DataFrame(
        {column["name"]: _column(column, known) for column in asked["columns"]}
        if asked["columns"]
        else {str(number): _VALUES["number"] for number in range(asked["features"] or 1)}
    )


def _column(column: Mapping[str, str], known: Mapping[str, list[Any]]) -> Any:
    import pandas

    if column["type"] == "datetime":
        return pandas.date_range("2026-01-01", periods=3)
    words = known.get(column["name"])
    values = _VALUES.get(column["type"], _VALUES["unknown"])
    return [words[place % len(words)] for place in range(len(values))] if words else values


def _categories(model: Any) -> dict[str, list[Any]]:
    """What encoders inside a model have learned that a column may hold."""
    found: dict[str, list[Any]] = {}
    seen: list[Any] = [model]
    for part in seen:
        for name, words in zip(
            getattr(part, "feature_names_in_", ()), getattr(part, "categories_", ()), strict=False
        ):
            found[str(name)] = [word for word in words if word == word and word is not None]
        inner = [step[1] for step in getattr(part, "steps", ())]
        inner += [step[1] for step in getattr(part, "transformers_", ())]
        seen += [each for each in inner if hasattr(each, "fit")]
    return found


def _predicted(model: Any, table: Any) -> dict[str, Any]:
    from towpath.steps.batch_transform import scored

    try:
        predicted = scored(model, table)
        columns = [name for name in predicted.columns if name not in table.columns]
        values = predicted[columns].to_numpy().ravel().tolist()
    except Exception as error:  # whatever the model's code raises is the answer
        return {"error": f"{type(error).__name__}: {error}"}
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        return {"error": "it predicts values that are no numbers"}
    return {"predictions": values}
