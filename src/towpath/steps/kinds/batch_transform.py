"""Applies a model to a table: the table's rows, with the prediction beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from towpath.backends.dvc import Store
from towpath.config.artifact import Artifact, Made
from towpath.config.table_options import TableOptions
from towpath.errors import Fault, StepFailed, did_you_mean
from towpath.steps import formats, step_results
from towpath.steps.model_io import fitted_signature, model_bundles
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import BatchTransform


def execute(order: Order) -> Made:
    """Predict for every row. With ``batch_size`` only so many rows are in memory at a time.

    :raises StepFailed: where the table lacks columns that the model was fitted on.
    """
    step: BatchTransform = order.step  # type: ignore[assignment] # only this kind comes here
    store = Store(order.root)
    model = read_order_model(order, store, step.method)
    name, output = next(iter(order.outputs.items()))
    path = order.place_output(name)
    _, read = read_table_parts(order, store, step.batch_size)
    parts = (add_predictions(model, part, step.method) for part in read)
    form = formats.find_format(output.path, output.format, order.own_formats)
    rows = formats.write_file_parts(parts, path, form, TableOptions.from_declaration(output))
    print(f"{rows:,} rows scored")
    outputs = step_results.store_files(order, store, {name: path})
    order.remove_bytes()
    return Made(outputs, facts={"rows": rows})


def add_predictions(model: Any, table: Any, method: str = "predict") -> Any:
    """A copy of the table with what the model gives beside it: ``prediction``, or with
    ``predict_proba`` a ``probability_<class>`` for each class."""
    taken_in = select_features(model, table)
    # No estimator of scikit-learn takes a table without rows.
    predicted = getattr(model, method)(taken_in) if len(table) else None
    names = _prediction_columns(model, predicted, method)
    if taken := [name for name in names if name in table.columns]:
        hint = "leave it out of the table, or call it something else"
        raise StepFailed(f"the table has a column `{taken[0]}` already", hint=hint)
    if predicted is None:
        import pandas

        return table.assign(**dict.fromkeys(names, pandas.Series(dtype="float64")))
    columns = predicted.T if getattr(predicted, "ndim", 1) > 1 else [predicted]
    return table.assign(**dict(zip(names, columns, strict=True)))


def select_features(model: Any, table: Any) -> Any:
    """The columns of a table that the model was fitted on, in their order.

    :raises StepFailed: where the table lacks one.
    """
    feature_columns = fitted_signature.feature_names(model)
    if not feature_columns:
        return _unnamed_features(model, table)
    missing = [name for name in feature_columns if name not in table.columns]
    if missing:
        raise StepFailed(*(_missing_fault(name, table) for name in missing))
    return table[feature_columns]


def _missing_fault(name: str, table: Any) -> Fault:
    near = did_you_mean(name, [str(column) for column in table.columns])
    return Fault(f"the model takes `{name}`, which the table does not have", hint=near)


def _unnamed_features(model: Any, table: Any) -> Any:
    count = fitted_signature.feature_count(model)
    if count is not None and count != len(table.columns):
        hint = "fit it on a table with column names, and it finds them by itself"
        what = f"the model takes {count} columns without names, the table has {len(table.columns)}"
        raise StepFailed(what, hint=hint)
    return table.to_numpy()


def _prediction_columns(model: Any, given: Any, method: str) -> list[str]:
    width = given.shape[1] if getattr(given, "ndim", 1) > 1 else 1
    if method == "predict_proba":
        return [f"probability_{label}" for label in getattr(model, "classes_", range(width))]
    return fitted_signature.prediction_names(width)


def read_table_parts(
    order: Order, store: Store, size: int | None
) -> tuple[Artifact, Iterator[Any]]:
    """The table that a step takes as ``data``, and its rows, at most ``size`` at a time."""
    data = order.arguments["data"]
    if not isinstance(data, Artifact) or data.files is not None:
        raise StepFailed("`data` is no table", hint=formats.TABLES)
    request = formats.argument_request(order, "data", data.name)
    return data, formats.read_file_parts(store.path(data.digest), request, size)


def read_order_model(order: Order, store: Store, method: str = "predict") -> Any:
    """The model that a step takes as ``model``, which has ``method``.

    :raises StepFailed: where it is no model, or has no such method.
    """
    model = order.arguments["model"]
    if not isinstance(model, Artifact):
        raise StepFailed("`model` is a value, and no model that can be read here")
    request = formats.ReadRequest(model.name, "", order.formats.get("model"), order.trust)
    if request.format is None:
        raise StepFailed(f"{model.name} is no model that can be read here")
    path = store.path(model.digest)
    if model.files is not None:
        if not model_bundles.is_bundle(model.name):
            raise StepFailed(f"{model.name} is no model that can be read here")
        path = order.place_input(store, "model", model)
        # Its rows go through the bundle's own code, which may be another commit's.
        model_bundles.forget_project(order.root)
    loaded = formats.read_file(path, request)
    if not hasattr(loaded, method):
        raise StepFailed(f"a {type(loaded).__name__} has no `{method}`")
    return loaded
