"""What a fitted model takes and gives: columns and types, learned from the data that it saw."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from towpath.config.artifact import Json

UNKNOWN = "unknown"
_ROWS = 5
# Where models keep the names of their columns: scikit-learn, LightGBM, CatBoost, and the boosters
# of XGBoost and LightGBM.
_NAMES = ("feature_names_in_", "feature_name_", "feature_names_", "feature_names", "feature_name")

_COUNTS = ("n_features_in_", "num_feature", "num_features")
_MADE_UP = re.compile(r"Column_\d+|f?\d+")  # by LightGBM, XGBoost and CatBoost, for an array


def signatures_of_models(made: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Json]:
    """The signature of each model among a step's outputs; ``seen`` holds the step's arguments."""
    # In this order: a lazy frame of polars works out its schema to name its columns, and warns.
    of_frame = ("iloc", "columns", "dtypes")
    frames = [value for value in seen.values() if all(hasattr(value, name) for name in of_frame)]
    return {
        name: signature_of_model(value, frames)
        for name, value in made.items()
        if hasattr(value, "predict") and not isinstance(value, type)
    }


def signature_of_model(model: Any, frames: Sequence[Any] = ()) -> dict[str, Json]:
    """A model's signature. ``inputs`` lists columns with their types, in the order that the model
    wants them; where the model was fitted without names it is ``unknown``, and ``features`` tells
    how many. ``outputs`` is what predicting a few rows of the data gave. Types: integer, number,
    string, boolean, datetime, category, unknown."""
    names = feature_names(model)
    count = feature_count(model)
    source = next(
        (frame for frame in frames if names and set(names) <= set(map(str, frame.columns))), None
    )
    signed: dict[str, Json] = {
        "model": f"{type(model).__module__.partition('.')[0]}.{type(model).__name__}",
        "inputs": column_types(names, source) if names else UNKNOWN,
        "outputs": _output_types(model, names, source),
    }
    if not names and count is not None:
        signed["features"] = int(count)
    if (classes := _class_labels(model)) is not None:
        signed["classes"] = classes
    return signed


def feature_names(model: Any) -> list[str]:
    """The columns that a model was fitted on, in its order; empty where it knows no names."""
    for attribute in _NAMES:
        names = _model_attribute(model, attribute)
        if isinstance(names, str) or not hasattr(names, "__iter__"):
            continue
        listed = [str(name) for name in names]
        if attribute == _NAMES[0] or not all(_MADE_UP.fullmatch(name) for name in listed):
            return listed
    return []


def feature_count(model: Any) -> int | None:
    for attribute in _COUNTS:
        count = _model_attribute(model, attribute)
        if hasattr(count, "__index__"):
            return int(count)
    return None


def _model_attribute(model: Any, attribute: str) -> Any:
    """A booster of LightGBM answers by a method what an estimator has as an attribute."""
    try:
        value = getattr(model, attribute, None)
        return value() if callable(value) else value
    except Exception:  # not fitted yet, or it wants arguments: then it is no name of a column
        return None


def column_types(names: Sequence[str], frame: Any) -> list[Json]:
    """Columns with the types that they have in a table; ``unknown`` without one."""
    return [
        {"name": name, "type": type_of(frame[name].dtype) if frame is not None else UNKNOWN}
        for name in names
    ]


def _output_types(model: Any, names: Sequence[str], frame: Any) -> Json:
    if frame is None:
        return UNKNOWN
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predicted = model.predict(frame[list(names)].head(_ROWS))
    except Exception:  # the step has done its work; what the model gives is a note beside it
        return UNKNOWN
    return prediction_columns(predicted)


def prediction_columns(predicted: Any) -> list[Json]:
    """What a model gave as columns, with their type."""
    width = predicted.shape[1] if len(getattr(predicted, "shape", ())) > 1 else 1
    kind = type_of(getattr(predicted, "dtype", None))
    return [{"name": name, "type": kind} for name in prediction_names(width)]


def prediction_names(width: int) -> list[str]:
    """What a prediction of so many columns is called, here and in a scored table."""
    return ["prediction"] if width == 1 else [f"prediction_{number}" for number in range(width)]


def _class_labels(model: Any) -> Json:
    from towpath.steps.formats.jsons import plain_json

    try:
        return plain_json(list(model.classes_))
    except (AttributeError, TypeError, ValueError):
        return None


def type_of(dtype: Any) -> str:
    text = str(dtype).lower()
    return next((name for start, name in _TYPES if text.startswith(start)), UNKNOWN)


_TYPES = (
    ("category", "category"),
    ("bool", "boolean"), ("int", "integer"), ("uint", "integer"), ("float", "number"),
    ("double", "number"), ("decimal", "number"), ("datetime", "datetime"),
    ("timestamp", "datetime"), ("date", "datetime"), ("str", "string"), ("object", "string"),
    ("<u", "string"), ("|s", "string"),
)  # fmt: skip
