"""The door to SHAP: how much each feature moves a row's answer from the average."""

from __future__ import annotations

import warnings
from typing import Any

from towpath.errors import StepFailed
from towpath.steps.explanation import (
    Explained,
    Features,
    answer_function,
    require_numbers,
    shown_classes,
)

_BACKGROUND = 20
_TREES = ("sklearn.ensemble", "sklearn.tree", "xgboost", "lightgbm", "catboost")


def explain_by_shap(model: Any, features: Features, seed: int) -> Explained:
    """SHAP's values, which add up to the answer: the exact ones of trees, and of any other model
    those of its permutations. The importance of a feature is the mean of their sizes.

    :raises StepFailed: where SHAP is not installed.
    """
    try:
        shap = _import_shap()
    except ModuleNotFoundError:
        hint = "pip install 'towpath[explain]'"
        raise StepFailed("`method: shap` needs SHAP, which is not installed", hint=hint) from None
    answers = answer_function(model, features.values)(features.values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own future
        values = _tree_values(shap, model, features.values, answers)
        effects, base = values or _permuted_values(shap, model, features.values, seed)
    sizes = abs(effects).mean(axis=0).tolist()
    importances = {name: (size, None) for name, size in zip(features.names, sizes, strict=True)}
    return Explained(importances, effects, base, answers)


def _import_shap() -> Any:
    """SHAP as plain Python. Its loops for numba's compiler take 5 s to compile in each process: 100
    rows of 8 columns take 0.6 s without and 6 with it, 1,000 rows of 30 columns 15 and 18."""
    import numba

    settings: Any = numba.config
    before = settings.DISABLE_JIT
    settings.DISABLE_JIT = True  # read where a function is decorated
    try:
        import shap
    finally:
        settings.DISABLE_JIT = before  # the model's own code may want it
    return shap


def _tree_values(shap: Any, model: Any, features: Any, answers: Any) -> tuple[Any, Any] | None:
    """None where the model is no tree, or its values add up to something else than its answer,
    such as the logarithm of the odds."""
    import numpy

    if not type(model).__module__.startswith(_TREES):
        return None
    try:
        effects, base = _of_shown_class(shap.TreeExplainer(model)(features), model, features)
    except Exception:  # it raises what it likes over a model that it does not know
        return None
    adds_up = numpy.allclose(effects.sum(axis=1) + base, answers, atol=1e-4)
    return (effects, base) if adds_up else None


def _of_shown_class(explained: Any, model: Any, features: Any) -> tuple[Any, Any]:
    """The values as a row each, and the average answer of each row's class."""
    import numpy

    values, base = numpy.asarray(explained.values), numpy.asarray(explained.base_values)
    rows = numpy.arange(len(values))
    if values.ndim == 3:
        chosen = shown_classes(model, features)
        values = values[rows, :, chosen]
        base = base[rows, chosen] if base.ndim == 2 else base[chosen]
    return values, numpy.broadcast_to(base.squeeze(), (len(values),))


def _permuted_values(shap: Any, model: Any, features: Any, seed: int) -> tuple[Any, Any]:
    import numpy
    import pandas

    # As codes, for SHAP compares what it is given as floats: text and times come back by them.
    is_frame = hasattr(features, "columns")
    frame = features if is_frame else pandas.DataFrame(features)
    pairs = [
        pandas.factorize(frame.iloc[:, n], use_na_sentinel=False) for n in range(frame.shape[1])
    ]
    codes = numpy.column_stack([pair[0] for pair in pairs]).astype("float64")

    def answer(coded: Any) -> Any:
        columns = [
            pandas.Series(values.take(coded[:, n].astype("int64")), dtype=frame.dtypes.iloc[n])
            for n, (_, values) in enumerate(pairs)
        ]
        rows = pandas.concat(columns, axis=1).set_axis(frame.columns, axis=1)
        rows = rows if is_frame else rows.to_numpy()
        if hasattr(model, "predict_proba"):
            return model.predict_proba(rows)
        return require_numbers(model.predict(rows))

    random = numpy.random.default_rng(seed)
    drawn = random.choice(len(codes), min(_BACKGROUND, len(codes)), replace=False)
    masker = shap.maskers.Independent(codes[numpy.sort(drawn)], max_samples=_BACKGROUND)
    explainer = shap.explainers.Permutation(answer, masker, seed=seed)
    # Two ways through the features, there and back.
    explained = explainer(codes, max_evals=2 * (2 * codes.shape[1] + 1), silent=True)
    return _of_shown_class(explained, model, features)
