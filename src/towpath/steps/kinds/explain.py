"""Explains a model: which features matter, of all rows and of each, and a plot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from towpath.backends.dvc import Store
from towpath.config.artifact import Json, Made
from towpath.steps import explanation, formats, shap_values, step_results
from towpath.steps.explanation import Explained, Features, RowSample
from towpath.steps.formats import jsons
from towpath.steps.kinds import batch_transform
from towpath.steps.table_profile import ROWS_AT_ONCE
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import Explain


def execute(order: Order) -> Made:
    """Explain, and make ``importance`` (JSON), ``rows`` (a table) and ``plot`` (SVG).

    :raises StepFailed: where the table lacks what the model or the method takes.
    """
    step: Explain = order.step  # type: ignore[assignment] # only this kind comes here
    store = Store(order.root)
    model = batch_transform.read_order_model(order, store)
    _, parts = batch_transform.read_table_parts(order, store, ROWS_AT_ONCE)
    sample = explanation.draw_rows(parts, step.rows, step.seed)
    features = _select_features(model, _without_target(sample, step, model))
    if step.method == "shap":
        explained = shap_values.explain_by_shap(model, features, step.seed)
    else:
        truth = explanation.read_target(sample, step.target or "")
        explained = explanation.explain_by_permutation(
            model, features, truth, step.repeats, step.scoring, step.seed
        )
    document = _importance_document(explained, sample, step)
    _print_importances(document)
    files = _write_files(order, explained, sample, document)
    outputs = step_results.store_files(order, store, files)
    order.remove_bytes()
    is_small = outputs["importance"].size <= jsons.SMALL
    return Made(outputs, {"importance": document} if is_small else {})


def _without_target(sample: RowSample, step: Explain, model: Any) -> Any:
    # A model without names takes all columns: what was true must not be one of them.
    has_names = hasattr(model, "feature_names_in_")
    if has_names or not step.target or step.target not in sample.table.columns:
        return sample.table
    return sample.table.drop(columns=[step.target])


def _select_features(model: Any, table: Any) -> Features:
    values = batch_transform.select_features(model, table)
    columns = values.columns if hasattr(values, "columns") else table.columns
    return Features(values, [str(name) for name in columns])


def _importance_document(explained: Explained, sample: RowSample, step: Explain) -> dict[str, Json]:
    ordered = sorted(explained.importances.items(), key=lambda pair: (-pair[1][0], pair[0]))
    features: dict[str, Json] = {}
    for name, (value, deviation) in ordered:
        features[name] = {"importance": _rounded(value)}
        if deviation is not None:
            features[name]["deviation"] = _rounded(deviation)  # type: ignore[index,call-overload]
    document: dict[str, Json] = {
        "version": 1, "method": step.method, "rows": len(sample.table),
        "of_rows": sample.of_rows, "seed": step.seed,
    }  # fmt: skip
    if step.method == "permutation":
        document |= {"repeats": step.repeats, "scoring": step.scoring or "the model's own"}
    return {**document, "features": features}


def _rounded(value: float) -> float:
    # The last digits of a sum depend on the machine, and the same data gives the same document.
    return float(f"{value:.10g}")


def _print_importances(document: dict[str, Json]) -> None:
    print(f"{document['rows']:,} of {document['of_rows']:,} rows, by {document['method']}")
    features = document["features"]
    assert isinstance(features, dict)
    for name, entry in features.items():
        print(f"    {name}: {entry['importance']:.3g}")  # type: ignore[index,call-overload]


def _write_files(
    order: Order, explained: Explained, sample: RowSample, document: dict[str, Json]
) -> dict[str, Any]:
    import pandas

    folder = order.directory / "outputs"
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "importance": folder / "importance.json",
        "rows": folder / "rows.parquet",
        "plot": folder / "plot.svg",
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    files["importance"].write_text(text, encoding="utf-8")
    columns = {"row": sample.table.index, "answer": explained.answers, "base": explained.base}
    effects = zip(explained.importances, explained.effects.T, strict=True)
    columns |= {f"effect_{name}": effect for name, effect in effects}
    formats.write_file(pandas.DataFrame(columns), files["rows"])
    ordered = sorted(explained.importances.items(), key=lambda pair: (-pair[1][0], pair[0]))
    bars = {name: value for name, (value, _) in ordered}
    title = f"Importance of features, by {document['method']}"
    files["plot"].write_text(explanation.draw_bars(bars, title), encoding="utf-8")
    return files
