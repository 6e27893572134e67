"""A bundled model put together from its folder, and asked, without Towpath.

What is written for MLflow holds a copy of this file: it imports Python's own modules, NumPy,
pandas and skops, and nothing else. Whoever calls it has looked at what the folder holds.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

DESCRIPTION = "bundle.json"
CODE = "code"
READABLE = (".skops", ".json", ".txt")
"""Files that a function is handed the content of; of any other, and of folders, the path."""

ReadPart = Callable[[Path, Sequence[str]], Any]


class BundledModel:
    """A model whose rows go through a chain, or to a function of the project's.

    ``signature`` tells the columns that it takes and gives, ``samples`` rows with what it predicted
    for them when it was made. ``predict`` takes a table of pandas, and gives a NumPy array.
    """

    def __init__(self, description: Mapping[str, Any], stages: Sequence[Stage]) -> None:
        self.signature = description["signature"]
        self.feature_names_in_ = [column["name"] for column in self.signature["inputs"]]
        self._stages = stages
        last = stages[-1]
        if last.is_model and hasattr(last.held, "predict_proba"):
            self.predict_proba = lambda data: self._pass_through(data, "predict_proba")
        if last.is_model and hasattr(last.held, "classes_"):
            self.classes_ = last.held.classes_

    def predict(self, data: Any) -> Any:
        """A prediction for each row of ``data``, which may have other columns too."""
        return self._pass_through(data, "predict")

    def _pass_through(self, data: Any, method: str) -> Any:
        import numpy

        value = _select_columns("the model", self.feature_names_in_, data, "the table")
        before = "the table"
        for stage in self._stages:
            value, before = stage.apply(value, method, before), f"`{stage.name}`"
        predicted = numpy.asarray(value)
        if predicted.ndim == 0 or len(predicted) != len(data):
            count = len(predicted) if predicted.ndim else "one value"
            raise ValueError(f"{before} gives {count} for {len(data)} rows")
        return predicted


class Stage:
    """One link of a chain: a part that was fitted, or a function."""

    def __init__(self, name: str, held: Any, is_part: bool, is_model: bool = False) -> None:
        self.name, self.held = name, held
        self.is_part, self.is_model = is_part, is_model
        method = "predict" if is_model else "transform"
        if is_part and not hasattr(held, method):
            kind = type(held).__name__
            raise ValueError(f"`{name}` is a {kind}, which has no `{method}`")

    def apply(self, value: Any, method: str, before: str) -> Any:
        """What the link makes of what the one before it gave."""
        if not self.is_part:
            return self.held(value)
        taken = self._take_columns(value, before)
        if self.is_model:
            return getattr(self.held, method)(taken)
        return _name_columns(self.held, self.held.transform(taken), value)

    def _take_columns(self, value: Any, before: str) -> Any:
        names = getattr(self.held, "feature_names_in_", None)
        if names is not None and hasattr(value, "columns"):
            return _select_columns(f"`{self.name}`", list(names), value, before)
        width = getattr(self.held, "n_features_in_", None)
        shape: Any = getattr(value, "shape", ())
        if width is not None and len(shape) == 2 and shape[1] != width:
            raise ValueError(f"`{self.name}` takes {width} columns, and {before} gives {shape[1]}")
        if names is not None and len(shape) == 2:
            import pandas

            return pandas.DataFrame(value, columns=list(names))
        return value.to_numpy() if hasattr(value, "columns") else value


def _select_columns(taker: str, names: Sequence[str], value: Any, giver: str) -> Any:
    if missing := [name for name in names if name not in value.columns]:
        raise ValueError(f"{taker} takes `{missing[0]}`, which {giver} does not give")
    return value[list(names)]


def _name_columns(held: Any, output: Any, taken: Any) -> Any:
    """What a transformer gave as a table, where it says what its columns are called."""
    if hasattr(output, "columns") or getattr(output, "ndim", 0) != 2 or hasattr(output, "tocsr"):
        return output
    try:
        names = list(held.get_feature_names_out())
    except (AttributeError, ValueError, TypeError):  # it has none, or does not know them
        return output
    import pandas

    return pandas.DataFrame(output, columns=names, index=getattr(taken, "index", None))


def load_bundle(folder: Path, read_part: ReadPart | None = None) -> BundledModel:
    """The model in a folder; ``read_part`` reads the file of a part, whose types are named."""
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    find_code_first(folder / CODE, description["paths"])
    read = read_part or read_plain_part
    parts, values = description["parts"], description["values"]

    def content(name: str) -> Any:
        if name in values:
            return values[name]
        path = folder / parts[name]["path"]
        readable = path.is_file() and path.suffix in READABLE
        return read(path, parts[name]["types"]) if readable else path

    if description["predict"]:
        return BundledModel(description, [_predict_stage(folder, description, content)])
    links = description["chain"]
    last = max(place for place, link in enumerate(links) if isinstance(link, str))
    stages = [
        Stage(link, content(link), is_part=True, is_model=place == last)
        if isinstance(link, str)
        else Stage(link["function"], import_function(link), is_part=False)
        for place, link in enumerate(links)
    ]
    return BundledModel(description, stages)


def _predict_stage(
    folder: Path, description: Mapping[str, Any], content: Callable[[str], Any]
) -> Stage:
    """The function of the project's own that predicts, with all but the data in its hands."""
    predict, load = description["predict"], description["load"]
    arguments = {name: content(name) for name in predict["takes"]}
    if load:
        paths = {name: folder / part["path"] for name, part in description["parts"].items()}
        arguments = {"model": import_function(load)(**{**description["values"], **paths})}
    called = import_function(predict)

    def predict_rows(data: Any) -> Any:
        return called(data=data, **arguments)

    return Stage(predict["function"], predict_rows, is_part=False)


def find_code_first(code: Path, paths: Sequence[str]) -> None:
    """Let the bundle's own modules be imported, before others of their names."""
    sys.dont_write_bytecode = True  # the folder stays as it was digested
    for path in reversed(paths):
        place = str(code / path) if path else str(code)
        if place in sys.path:
            sys.path.remove(place)
        sys.path.insert(0, place)
    importlib.invalidate_caches()


def import_function(named: Mapping[str, str]) -> Any:
    """The function that a description names by module and name."""
    return getattr(importlib.import_module(named["module"]), named["function"])


def read_plain_part(path: Path, types: Sequence[str]) -> Any:
    """The content of a part: a model of skops', of the types that were recorded, JSON or text."""
    if path.suffix == ".skops":
        from skops import io as skops_io

        return skops_io.load(path, trusted=list(types))
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else text


def _load_pyfunc(path: str) -> BundledModel:
    # MLflow calls this of the module that `loader_module` names, and then `predict`.
    return load_bundle(Path(path))
