"""Which types a model's file may hold, and by which way of making them: those that can do no harm.

A name alone says little: the same class is filled in from a state, or called with arguments of the
file's. So each *loader* of skops, which is a way of making an object, has its own short list.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TypeAlias

# Which functions a model's file may name: those that compute with what they are handed.
#
# A function in a file is a name. It is called by what holds it, with arguments of the file's
# (``kw_args``, ``functools.partial``): so each must do no harm with any arguments. None here opens
# a file, connects, imports, evaluates text, or hands memory on without looking at its bounds; where
# one takes a function, that is of the file's too, and so one of these.

# Functions of NumPy by their public names, besides the universal ones.
_NUMPY = """
abs absolute all amax amin any argmax argmin argsort around array asarray ascontiguousarray
asfortranarray atleast_1d atleast_2d average clip column_stack concatenate count_nonzero cumprod
cumsum diff digitize expand_dims fix flip full_like gradient hstack imag interp isclose isin
isneginf isposinf max mean median min nan_to_num nanargmax nanargmin nancumsum nanmax nanmean
nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar ones_like percentile prod
ptp quantile ravel real repeat reshape roll round searchsorted select sinc sort squeeze stack std
sum take tile transpose unique unwrap var vstack where zeros_like
"""

# Functions by the module that defines them. Those of ``sklearn.cluster._kmeans`` check nothing:
# ``index_bounds`` sees to it that only the clusters that keep them have them.
_NAMES = {
    "numpy": _NUMPY,
    "scipy._lib.array_api_compat.numpy._aliases": "asarray",  # as a GP keeps it
    "pandas": "get_dummies isna notna to_numeric",
    "pandas.core.dtypes.missing": "isna notna",  # as pandas 2 says where they are
    "pandas.core.reshape.encoding": "get_dummies",
    "pandas.core.tools.numeric": "to_numeric",
    "scipy.special._logsumexp": "log_softmax logsumexp softmax",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.feature_selection._univariate_selection": (
        "chi2 f_classif f_oneway f_regression r_regression"
    ),
    "sklearn.metrics.pairwise": (
        "additive_chi2_kernel chi2_kernel cosine_distances cosine_similarity euclidean_distances "
        "haversine_distances laplacian_kernel linear_kernel manhattan_distances "
        "nan_euclidean_distances polynomial_kernel rbf_kernel sigmoid_kernel"
    ),
    "sklearn.preprocessing._data": (
        "add_dummy_feature binarize maxabs_scale minmax_scale normalize power_transform "
        "quantile_transform robust_scale scale"
    ),
    "sklearn.preprocessing._label": "label_binarize",
    "sklearn.utils.validation": "check_array",
    "sklearn.cluster._kmeans": "_kmeans_single_elkan _kmeans_single_lloyd",
}
_NAMED = {module: frozenset(names.split()) for module, names in _NAMES.items()}

# Modules whose public functions compare what is true with what was predicted.
_SCORES = tuple(
    f"sklearn.metrics.{part}"
    for part in ("_classification", "_ranking", "_regression", "cluster._supervised")
)
# A part of a model's file: skops' loader, and the full name of what it makes.
Held: TypeAlias = tuple[str, str]


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


def find_strange(held: Iterable[Held], trust: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of those parts that are neither harmless nor trusted by the project, sorted."""
    others = set(held)
    harmless = {part for part in others if part[0] in _RULES and _RULES[part[0]](part[1])}
    return tuple(sorted({name for _, name in others - harmless}.difference(trust)))


def _match_names(*names: str) -> Callable[[str], bool]:
    return frozenset(names).__contains__


# The methods that run when an object is made, filled in and let go, and the classes whose own
# were read. Any other class that defines one is not let in: `scipy.stats` executes a text of the
# file in its `__setstate__`.
_SPECIAL: Mapping[str, tuple[str, ...]] = {
    "__new__": tuple(  # they warn
        f"sklearn.linear_model._passive_aggressive.PassiveAggressive{kind}"
        for kind in ("Classifier", "Regressor")
    ),
    "__setstate__": (
        "sklearn.base.BaseEstimator",  # warns of another version, and updates `__dict__`
        "sklearn.isotonic.IsotonicRegression",  # and interpolates between its own numbers
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # casts its nodes
    ),
    "__getattr__": (
        "sklearn.frozen._frozen.FrozenEstimator",  # asks what it wraps
        "sklearn.utils._metadata_requests.MetadataRequest",  # joins what it holds
    ),
    "__getattribute__": (),
    "__del__": (),
}


def is_quiet(kind: type) -> bool:
    """Whether to make an object of a class, to fill it in and to let it go runs nothing of the
    file's: it has none of the special methods but those that were read."""
    return all(
        definer is object or f"{definer.__module__}.{definer.__qualname__}" in read
        for method, read in _SPECIAL.items()
        for definer in [next((base for base in kind.__mro__ if method in vars(base)), object)]
    )


# These read files and addresses, or change others where they are imported.
_EXCLUDED = ("sklearn.datasets.", "sklearn.externals.", "sklearn.experimental.")

# Parts of a module's name that is no module of a library: programs, which run where they are
# imported, and what a package is tested and built by.
_NO_LIBRARY = re.compile(r"__\w*|_?tests?(?:_\w*|ing)?|_test\w*|setup|conftest|_build_utils")

# Modules of scikit-learn whose classes hold parameters and numbers.
_FAMILY_NAMES = """
sklearn._loss.link sklearn._loss.loss sklearn.gaussian_process.kernels sklearn.metrics._scorer
sklearn.model_selection._split sklearn.neural_network._stochastic_optimizers
sklearn.utils._metadata_requests
"""
_FAMILIES = frozenset(_FAMILY_NAMES.split())

# Other classes that fitted estimators of scikit-learn hold and that are no estimators.
_PART_NAMES = """
scipy.interpolate._bsplines.BSpline sklearn.calibration._CalibratedClassifier
sklearn.cluster._bisect_k_means._BisectingTree
sklearn.compose._column_transformer.make_column_selector
sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor
"""
_PARTS = frozenset(_PART_NAMES.split())

# Compiled classes filled in from a state, whose sizes and indices are looked at after loading
# (``index_bounds``). ``PyFuncDistance`` calls what it is given, and is not among them.
_DISTANCES = """
BrayCurtis Canberra Chebyshev Dice Euclidean Hamming Haversine Jaccard Kulsinski Mahalanobis
Manhattan Minkowski RogersTanimoto RussellRao SEuclidean SokalMichener SokalSneath WMinkowski Yule
"""
_COMPILED = frozenset(
    f"sklearn.{home}{bits}"
    for home in (
        "neighbors._kd_tree.KDTree",
        "neighbors._ball_tree.BallTree",
        *(f"metrics._dist_metrics.{kind}Distance" for kind in _DISTANCES.split()),
    )
    for bits in ("", "32", "64")
)

# Compiled losses: each is made of at most three numbers.
_SGD_LOSSES = """
EpsilonInsensitive Hinge Huber Log ModifiedHuber SquaredEpsilonInsensitive SquaredHinge SquaredLoss
"""
_CY_LOSSES = """
AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss HalfPoissonLoss
HalfSquaredError HalfTweedieLoss HalfTweedieLossIdentity HuberLoss PinballLoss
"""
_LOSSES = frozenset(
    [f"sklearn.linear_model._sgd_fast.{kind}" for kind in _SGD_LOSSES.split()]
    + [f"sklearn._loss._loss.Cy{kind}" for kind in _CY_LOSSES.split()]
)


def _is_object(name: str) -> bool:
    """An estimator of scikit-learn, or what one holds: installed, and quiet when it is made."""
    if name in _COMPILED:
        return True
    kind = _find_installed(name)
    if not isinstance(kind, type) or not is_quiet(kind):
        return False
    from sklearn.base import BaseEstimator

    is_estimator = issubclass(kind, BaseEstimator)
    return is_estimator or name in _PARTS or kind.__module__ in _FAMILIES


def _find_installed(name: str) -> object:
    """What scikit-learn or SciPy defines under a name, in the very module that the name says."""
    if not name.startswith(("sklearn.", "scipy.interpolate.")) or name.startswith(_EXCLUDED):
        return None
    module, _, attribute = name.rpartition(".")
    if any(map(_NO_LIBRARY.fullmatch, module.split("."))):
        return None
    if (source := import_known(module)) is None:
        return None
    kind = getattr(source, attribute, None)
    is_own = getattr(kind, "__module__", None) == module
    return kind if is_own and getattr(kind, "__qualname__", None) == attribute else None


def _is_scalar(name: str) -> bool:
    """One of NumPy's numbers, times and texts. Not ``void`` and ``object_``, which hold others."""
    import numpy

    module, _, attribute = name.rpartition(".")
    kind = getattr(numpy, attribute, None)
    if module != "numpy" or not isinstance(kind, type) or not issubclass(kind, numpy.generic):
        return False
    return not issubclass(kind, numpy.void | numpy.object_)


_PLAIN = _match_names(*(f"builtins.{kind}" for kind in ("bool", "float", "int", "str")))
_BUILTINS = ("bool", "dict", "float", "int", "list", "object", "set", "str", "tuple")
_TYPES = _match_names(
    *(f"builtins.{kind}" for kind in _BUILTINS),
    *("collections.OrderedDict", "numpy.array", "numpy.asarray", "numpy.dtype", "numpy.object_"),
)
# What columns of pandas are selected by: ``make_column_selector(dtype_include=...)``; and where
# pandas says that they are: 3 names its public module, 2 those that define them.
_COLUMN_TYPES = """
Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64 Float32 Float64 Boolean Categorical DatetimeTZ
String
"""
_COLUMN_TYPE_HOMES = """
pandas pandas.core.dtypes.dtypes pandas.core.arrays.boolean pandas.core.arrays.floating
pandas.core.arrays.integer pandas.core.arrays.string_
"""
_COLUMN_TYPE_NAMES = frozenset(
    f"{home}.{kind}Dtype" for home in _COLUMN_TYPE_HOMES.split() for kind in _COLUMN_TYPES.split()
)


def _is_type(name: str) -> bool:
    """A type that stands as a value, which somebody may call: ``dtype=numpy.float64``."""
    return _TYPES(name) or _is_scalar(name) or name in _COLUMN_TYPE_NAMES


# The ways of making an object that a file may use without being asked. Bound methods, functions
# of ``operator``, and a class that is called with the file's arguments are not among them.
_RULES: Mapping[str, Callable[[str], bool]] = {
    "BytearrayNode": _match_names("builtins.bytearray"),
    "BytesNode": _match_names("builtins.bytes"),
    "DTypeNode": _match_names("numpy.dtype"),
    "DefaultDictNode": _match_names("collections.defaultdict"),
    "DictNode": _match_names(
        "builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"
    ),
    "FunctionNode": is_function,
    "JsonNode": _PLAIN,
    "ListNode": _match_names("builtins.list"),
    "LossNode": _LOSSES.__contains__,
    "MaskedArrayNode": _match_names("numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"),
    "NdArrayNode": lambda name: name == "numpy.ndarray" or _is_scalar(name),
    "ObjectNode": _is_object,
    "PartialNode": _match_names("functools.partial"),
    "RandomGeneratorNode": _match_names("numpy.random._generator.Generator"),
    "RandomStateNode": _match_names("numpy.random.mtrand.RandomState"),
    "SetNode": _match_names("builtins.set"),
    "SliceNode": _match_names("builtins.slice"),
    "SparseMatrixNode": lambda name: name.startswith("scipy.sparse."),  # only tells; made by npz
    "TreeNode": _match_names("sklearn.tree._tree.Tree"),
    "TupleNode": _match_names("builtins.tuple", "sklearn.impute._iterative._ImputerTriplet"),
    "TypeNode": _is_type,
}
