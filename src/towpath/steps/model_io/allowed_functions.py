"""Which functions a model's file may name: those that compute with what they are handed.

A function in a file is a name. It is called by what holds it, with arguments of the file's
(``kw_args``, ``functools.partial``): so each must do no harm with any arguments. None here opens a
file, connects, imports, evaluates text, or hands memory on without looking at its bounds; where one
takes a function, that is of the file's too, and so one of these.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType

_NUMPY = frozenset(
    {
        *("abs", "absolute", "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "around"),
        *("array", "asarray", "ascontiguousarray", "asfortranarray", "atleast_1d", "atleast_2d"),
        *("average", "clip", "column_stack", "concatenate", "count_nonzero", "cumprod", "cumsum"),
        *("diff", "digitize", "expand_dims", "fix", "flip", "full_like", "gradient", "hstack"),
        *("imag", "interp", "isclose", "isin", "isneginf", "isposinf", "max", "mean", "median"),
        *("min", "nan_to_num", "nanargmax", "nanargmin", "nancumsum", "nanmax", "nanmean"),
        *("nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum"),
        *("nanvar", "ones_like", "percentile", "prod", "ptp", "quantile", "ravel", "real"),
        *("repeat", "reshape", "roll", "round", "searchsorted", "select", "sinc", "sort"),
        *("squeeze", "stack", "std", "sum", "take", "tile", "transpose", "unique", "unwrap"),
        *("var", "vstack", "where", "zeros_like"),
    }
)
"""Functions of NumPy by their public names, besides the universal ones."""

_NAMED: Mapping[str, frozenset[str]] = {
    "numpy": _NUMPY,
    "scipy._lib.array_api_compat.numpy._aliases": frozenset({"asarray"}),  # as a GP keeps it
    "pandas": frozenset({"get_dummies", "isna", "notna", "to_numeric"}),
    "pandas.core.dtypes.missing": frozenset({"isna", "notna"}),  # as pandas 2 says where they are
    "pandas.core.reshape.encoding": frozenset({"get_dummies"}),
    "pandas.core.tools.numeric": frozenset({"to_numeric"}),
    "scipy.special._logsumexp": frozenset({"log_softmax", "logsumexp", "softmax"}),
    "sklearn.feature_selection._mutual_info": frozenset(
        {"mutual_info_classif", "mutual_info_regression"}
    ),
    "sklearn.feature_selection._univariate_selection": frozenset(
        {"chi2", "f_classif", "f_oneway", "f_regression", "r_regression"}
    ),
    "sklearn.metrics.pairwise": frozenset(
        {
            *("additive_chi2_kernel", "chi2_kernel", "cosine_distances", "cosine_similarity"),
            *("euclidean_distances", "haversine_distances", "laplacian_kernel", "linear_kernel"),
            *("manhattan_distances", "nan_euclidean_distances", "polynomial_kernel"),
            *("rbf_kernel", "sigmoid_kernel"),
        }
    ),
    "sklearn.preprocessing._data": frozenset(
        {
            *("add_dummy_feature", "binarize", "maxabs_scale", "minmax_scale", "normalize"),
            *("power_transform", "quantile_transform", "robust_scale", "scale"),
        }
    ),
    "sklearn.preprocessing._label": frozenset({"label_binarize"}),
    "sklearn.utils.validation": frozenset({"check_array"}),
    "sklearn.cluster._kmeans": frozenset({"_kmeans_single_elkan", "_kmeans_single_lloyd"}),
}
"""Functions by the module that defines them. Those of ``sklearn.cluster._kmeans`` check nothing:
``index_bounds`` sees to it that only the clusters that keep them have them."""

_SCORES = frozenset(
    {
        "sklearn.metrics._classification",
        "sklearn.metrics._ranking",
        "sklearn.metrics._regression",
        "sklearn.metrics.cluster._supervised",
    }
)
"""Modules whose public functions compare what is true with what was predicted."""


def is_function(name: str) -> bool:
    """Whether a file may name a function: one that is installed, and on the lists."""
    module, _, function = name.rpartition(".")
    return function in _NAMED.get(module, ()) or _is_score(module, function) or is_universal(name)


def _is_score(module: str, function: str) -> bool:
    """A public function of a module of scores, which such a module defines itself."""
    if module not in _SCORES or (source := import_known(module)) is None:
        return False
    from sklearn import metrics

    candidate = getattr(source, function, None)
    is_own = getattr(candidate, "__module__", None) == module
    return is_own and function in metrics.__all__ and not isinstance(candidate, type)


def is_universal(name: str) -> bool:
    """A ``ufunc`` of NumPy or SciPy: it computes, element by element. The file's name has nothing
    imported: it is looked for where these two packages have theirs."""
    import numpy

    module, _, attribute = name.rpartition(".")
    package = next((p for p in ("numpy", "scipy.special") if f"{module}.".startswith(f"{p}.")), "")
    source = sys.modules.get(module) if package and import_known(package) else None
    return source is not None and isinstance(vars(source).get(attribute), numpy.ufunc)


def import_known(name: str) -> ModuleType | None:
    """A module of NumPy's, SciPy's or scikit-learn's; None where this version has none."""
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever keeps it from being imported, it is no module that is known
        return None
