"""What a fitted model takes and gives: columns and types, learned from the data that it saw."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from towpath.spec.artifact import Json

UNKNOWN = "unknown"
_ROWS = 5


def of_models(made: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Json]:
    """The signature of each model among a step's outputs; ``seen`` holds the step's arguments."""
    models = {name: value for name, value in made.items() if _is_model(value)}
    frames = [value for value in seen.values() if _is_frame(value)]
    return {name: of_model(model, frames) for name, model in models.items()}


def of_model(model: Any, frames: Sequence[Any] = ()) -> dict[str, Json]:
    """A model's signature.

    ``inputs`` lists columns with their types, in the order that the model wants them; where the
    model was fitted without names it is ``unknown``, and ``features`` tells how many. ``outputs``
    is what predicting a few rows of the data gave. Types: integer, number, string, boolean,
    datetime, category, unknown.
    """
    names = _feature_names(model)
    count = getattr(model, "n_features_in_", None)
    source = next(
        (frame for frame in frames if names and set(names) <= set(map(str, frame.columns))), None
    )
    signed: dict[str, Json] = {
        "model": f"{type(model).__module__.partition('.')[0]}.{type(model).__name__}",
        "inputs": _columns(names, source) if names else UNKNOWN,
        "outputs": _outputs(model, names, source),
    }
    if not names and count is not None:
        signed["features"] = int(count)
    if (classes := _classes(model)) is not None:
        signed["classes"] = classes
    return signed


def _is_model(value: Any) -> bool:
    return hasattr(value, "predict") and not isinstance(value, type)


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "dtypes") and hasattr(value, "iloc")


def _feature_names(model: Any) -> list[str]:
    try:
        return [str(name) for name in model.feature_names_in_]
    except (AttributeError, TypeError, ValueError):
        return []


def _columns(names: Sequence[str], frame: Any) -> list[Json]:
    return [
        {"name": name, "type": type_of(frame[name].dtype) if frame is not None else UNKNOWN}
        for name in names
    ]


def _outputs(model: Any, names: Sequence[str], frame: Any) -> Json:
    if frame is None:
        return UNKNOWN
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = model.predict(frame[list(names)].head(_ROWS))
    except Exception:  # the step has done its work; what the model gives is a note beside it
        return UNKNOWN
    width = given.shape[1] if len(getattr(given, "shape", ())) > 1 else 1
    kind = type_of(getattr(given, "dtype", None))
    return [{"name": name, "type": kind} for name in prediction_names(width)]


def prediction_names(width: int) -> list[str]:
    """What a prediction of so many columns is called, here and in a scored table."""
    return ["prediction"] if width == 1 else [f"prediction_{number}" for number in range(width)]


def _classes(model: Any) -> Json:
    from towpath.steps.formats.json_values import plain_json

    try:
        return plain_json(list(model.classes_))
    except (AttributeError, TypeError, ValueError):
        return None


def type_of(dtype: Any) -> str:
    """The portable name of a numpy or pandas type."""
    text = str(dtype).lower()
    if text.startswith("category"):
        return "category"
    for start, name in _TYPES:
        if text.startswith(start):
            return name
    return UNKNOWN


_TYPES = (
    ("bool", "boolean"),
    ("int", "integer"),
    ("uint", "integer"),
    ("float", "number"),
    ("double", "number"),
    ("decimal", "number"),
    ("datetime", "datetime"),
    ("timestamp", "datetime"),
    ("date", "datetime"),
    ("str", "string"),
    ("object", "string"),
    ("<u", "string"),
    ("|s", "string"),
)
