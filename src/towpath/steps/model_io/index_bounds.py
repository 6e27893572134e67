"""Whether the numbers inside a loaded model stay inside what they index.

Compiled code of scikit-learn and SciPy follows indices and sizes without looking, so that a made-up
file could read, and write, memory that is none of its business. The types are harmless; the numbers
in them need this, before anything is predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy
from msgspec import Struct

_DEEPEST = 100
_OPAQUE = str | bytes | int | float | None
# Ensembles that hand their columns to their trees without having them counted again.
_TIGHT = frozenset({"BaseForest", "BaseGradientBoosting", "IsolationForest"})
_HOMES = ("sklearn.", "scipy.", "numpy.")
# Functions of scikit-learn that hand what they get to compiled code; only a ``BisectingKMeans``
# keeps one, to be fitted with.
_UNCHECKED = frozenset({"_kmeans_single_elkan", "_kmeans_single_lloyd"})


class _Part(Struct, frozen=True):
    """A part of a model. ``is_tight``: what is around it hands its columns on without looking."""

    value: Any
    width: int | None
    is_tight: bool = False


def find_unsafe_part(model: object) -> str:
    """Why part of ``model`` cannot be used safely; empty where all of it can."""
    try:
        for part in _walk_parts(_Part(model, None), set(), 0):
            if part is None:
                return "it is nested too deeply"
            if reason := _shadowed_reason(part.value) or _unsound_reason(part):
                return reason
    except Exception as error:  # whatever a made-up state does to those who look at it
        return f"part of it is not as it is made: {type(error).__name__}: {error}"
    return ""


def _walk_parts(
    part: _Part, seen: set[tuple[int, int | None]], depth: int
) -> Iterator[_Part | None]:
    """Every part of a model; None where it goes too deep to be looked at."""
    value = part.value
    if isinstance(value, _OPAQUE) or (id(value), part.width) in seen:
        return
    if depth > _DEEPEST:
        yield None
        return
    seen.add((id(value), part.width))
    own = _count_columns(part)
    yield _Part(value, own, part.is_tight)
    is_tight = bool(_class_names(value) & _TIGHT)
    for inner in _inner_values(value):
        is_inside = isinstance(value, dict | list | tuple | set) or _is_array(value)
        is_container = is_inside or isinstance(inner, dict | list | tuple)
        keeps = is_tight or (part.is_tight and is_container)
        yield from _walk_parts(_Part(inner, own, keeps), seen, depth + 1)


def _count_columns(part: _Part) -> int | None:
    """How many columns a part lets in: no more than reach it where nothing in between counts."""
    value = part.value
    own = vars(value).get("n_features_in_") if hasattr(value, "__dict__") else None
    if own is None:
        return part.width
    count = _whole_number(own)
    if _class_names(value) & {"IsolationForest"}:
        chosen = (len(columns) for columns in value.estimators_features_)
        count = min([count, *chosen])
    return min(count, part.width) if part.is_tight and part.width is not None else count


def _whole_number(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int | numpy.integer):
        raise TypeError("a number of columns is no whole number")
    return int(number)


def _class_names(value: Any) -> frozenset[str]:
    """The names of a value's class and its ancestors, as scientific Python defines them."""
    kinds = (kind for kind in type(value).__mro__ if kind.__module__.startswith(_HOMES))
    return frozenset(kind.__name__ for kind in kinds)


def _is_array(value: Any) -> bool:
    return type(value).__name__ == "ndarray"


def _inner_values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple | set):
        yield from value
    elif _is_array(value):
        if value.dtype == object:
            yield from value.ravel().tolist()
    elif type(value).__name__ == "partial":
        yield from (value.func, value.args, value.keywords)
    elif _class_names(value) & {"BinaryTree32", "BinaryTree64"}:
        yield value.__getstate__()[11]  # how it measures distance
    elif _class_names(value) & {"BisectingKMeans"}:
        yield from (part for name, part in vars(value).items() if name != "_kmeans_single")
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from vars(value).values()


def _shadowed_reason(value: Any) -> str:
    """An estimator's file may give it attributes, never other methods: with a harmless function in
    the place of the one that looks at the columns, nobody would look."""
    ours = any(kind.__module__.startswith("sklearn.") for kind in type(value).__mro__)
    if not ours or not hasattr(value, "__dict__"):
        return ""
    for name in vars(value):
        if callable(getattr(type(value), str(name), None)):
            return f"a {type(value).__name__} in it has its own `{name}`"
    return ""


def _unsound_reason(part: _Part) -> str:
    if getattr(part.value, "__name__", None) in _UNCHECKED:
        return "a function in it looks at nothing that it is handed"
    for name, check in _CHECKS.items():
        if name in _class_names(part.value) and (reason := check(part.value, part.width)):
            return reason
    return ""


def _check_tree(tree: Any, width: int | None) -> str:
    if not 0 < tree.node_count <= tree.capacity:  # first: all its arrays are cut to this length
        return "a tree points outside itself"
    if width is None:
        return "a tree stands where nothing counts the columns"
    left, right = tree.children_left, tree.children_right
    leaf = left == -1
    if (leaf != (right == -1)).any():
        return "a node of a tree has one child"
    reason = _check_nodes(left, right, tree.feature, leaf, min(width, tree.n_features))
    if not reason and tree.max_depth < tree.compute_node_depths().max() - 1:
        return "a tree is deeper than it says"
    return reason


def _check_predictor(predictor: Any, width: int | None) -> str:
    nodes = predictor.nodes
    if not len(nodes):
        return "a tree has no nodes"
    if width is None:
        return "a tree stands where nothing counts the columns"
    leaf = nodes["is_leaf"].astype(bool)
    by_category = ~leaf & nodes["is_categorical"].astype(bool)
    sets = min(len(predictor.binned_left_cat_bitsets), len(predictor.raw_left_cat_bitsets))
    if (nodes["bitset_idx"][by_category] >= sets).any():
        return "a tree points to categories that are not there"
    return _check_nodes(nodes["left"], nodes["right"], nodes["feature_idx"], leaf, width)


def _check_boosted(model: Any, width: int | None) -> str:
    """Nodes that ask for a category do so of a column that the mapper knows categories of."""
    mapper = vars(model).get("_bin_mapper")
    if mapper is None:
        return ""
    is_categorical = numpy.asarray(mapper.is_categorical_).astype(bool)
    if width is None or is_categorical.shape != (width,):
        return "a mapper of values is of other columns"
    for column in numpy.flatnonzero(is_categorical):
        categories = numpy.asarray(mapper.bin_thresholds_[column])
        if len(categories) and not ((categories >= 0) & (categories < 256)).all():
            return "a mapper of values knows categories that there cannot be"
    for predictor in (tree_predictor for stage in model._predictors for tree_predictor in stage):
        nodes = predictor.nodes
        asks = nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)
        asked_columns = nodes["feature_idx"][asks]
        if (asked_columns >= width).any() or not is_categorical[asked_columns].all():
            return "a tree points to categories that are not there"
    return ""


def _check_nodes(left: Any, right: Any, feature: Any, leaf: Any, width: int) -> str:
    """Children stand behind their parent, so that a walk ends, and before the end of the array."""
    inner = ~leaf
    positions = numpy.arange(len(left))[inner]
    for child in (left[inner].astype("int64"), right[inner].astype("int64")):
        if not ((child > positions) & (child < len(left))).all():
            return "a tree points outside itself"
    used = feature[inner].astype("int64")
    if (used < 0).any() or (used >= width).any():
        return "a tree asks for columns that are not there"
    return ""


def _check_neighbours(tree: Any, _width: int | None) -> str:
    """All its arrays are of its points and of its nodes, and its leaves are at its end."""
    data, order, nodes, spaces, _, _, count, *_, metric, weights = tree.__getstate__()
    points, columns = data.shape
    sides = 2 if type(tree).__name__.startswith("KDTree") else 1
    sizes = len(order), len(nodes), spaces.shape
    is_sized = count >= 1 and sizes == (points, count, (sides, count, columns))
    is_weighed = weights is None or len(weights) == points
    if not (is_sized and is_weighed and _stays_inside(order, nodes, points)):
        return "a tree of neighbours points outside itself"
    metric._validate_data(data)  # whose own numbers fit these columns; else ValueError
    return ""


def _stays_inside(order: Any, nodes: Any, points: int) -> bool:
    """Whether a tree of neighbours names points and nodes that are there."""
    if (order < 0).any() or (order >= points).any():
        return False
    first, end = nodes["idx_start"], nodes["idx_end"]
    inner = numpy.arange(len(nodes))[nodes["is_leaf"] == 0]
    ordered = ((first >= 0) & (first <= end) & (end <= points)).all()
    return bool(ordered and not (2 * inner + 2 >= len(nodes)).any())


def _check_metric(metric: Any, _width: int | None) -> str:
    _, vector, matrix, *_ = metric.__getstate__()
    is_square = matrix.shape[0] == matrix.shape[1] or matrix.size <= 1
    return "" if is_square and vector.ndim == 1 else "a distance is not as it is made"


def _check_neighbourhood(model: Any, width: int | None) -> str:
    """The points that it remembers have the columns that it takes, and an answer each."""
    points, answers = vars(model).get("_fit_X"), vars(model).get("_y")
    if points is None:
        return ""
    if model.metric != "precomputed" and points.shape[1] != width:
        return "a model of neighbours remembers other columns"
    if answers is not None and len(numpy.asarray(answers)) != points.shape[0]:
        return "a model of neighbours does not know an answer for each point"
    tree = vars(model).get("_tree")
    if tree is not None and tree.__getstate__()[0].shape != points.shape:
        return "a tree of neighbours is of other points"
    return ""


def _check_clusters(model: Any, width: int | None) -> str:
    centres = vars(model).get("cluster_centers_")
    if centres is None or (centres.ndim == 2 and centres.shape[1] == width and len(centres)):
        return ""
    return "the centres of clusters have other columns"


def _check_bisected(model: Any, width: int | None) -> str:
    kept = vars(model).get("_kmeans_single")
    if kept is not None and getattr(kept, "__name__", None) not in _UNCHECKED:
        return "a BisectingKMeans in it has a `_kmeans_single` of its own"
    return _check_clusters(model, width)


def _check_support_vectors(model: Any, width: int | None) -> str:
    """libsvm takes each of these arrays to be as long as the number of vectors says."""
    if "_n_support" not in vars(model):
        return ""
    counts, vectors, chosen = model._n_support, model.support_vectors_, model.support_
    kinds, number = len(counts), len(chosen)
    pairs = kinds * (kinds - 1) // 2
    whole = number if model._impl in ("c_svc", "nu_svc") else 2 * number  # as libsvm writes it
    is_within = numpy.all(counts >= 0) and counts.sum() == whole
    if model._sparse is False:
        lengths = {len(model._probA), len(model._probB)} <= {0, pairs}
        is_within &= lengths and model._dual_coef_.shape == (kinds - 1, number)
        is_within &= numpy.shape(model._intercept_) == (pairs,)
    if model.kernel == "precomputed":
        is_within &= not number or (chosen.min() >= 0 and chosen.max() < model.shape_fit_[0])
    elif not callable(model.kernel):
        is_within &= vectors.shape == (number, width)
    return "" if is_within else "the vectors of a support vector machine are not as it says"


def _check_vocabulary(model: Any, _width: int | None) -> str:
    words = vars(model).get("vocabulary_")
    if words is None or sorted(words.values()) == list(range(len(words))):
        return ""
    return "a vocabulary counts words to columns that are not there"


def _check_encoder(model: Any, _width: int | None) -> str:
    """As many columns come out as there are categories, so that each has its place."""
    if "_n_features_outs" not in vars(model):
        return ""
    if list(model._n_features_outs) != list(model._compute_n_features_outs()):
        return "an encoder writes categories to columns that are not there"
    for number, mapping in enumerate(vars(model).get("_default_to_infrequent_mappings") or ()):
        dropped = model.drop_idx_ is not None and model.drop_idx_[number] is not None
        limit = model._n_features_outs[number] + dropped
        if mapping is not None and not ((mapping >= 0) & (mapping < limit)).all():
            return "an encoder writes categories to columns that are not there"
    return ""


def _check_sparse(matrix: Any, _width: int | None) -> str:
    check = getattr(matrix, "check_format", None)
    if check is not None:
        check(full_check=True)
    elif matrix.format == "coo":
        matrix._check()
    return ""


def _check_spline(spline: Any, _width: int | None) -> str:
    type(spline)(spline.t, spline.c, spline.k, spline.extrapolate, spline.axis)
    return ""


def _check_random(generator: Any, _width: int | None) -> str:
    """How far into its buffer it has read."""
    bits = getattr(generator, "bit_generator", None)
    state = bits.state if bits is not None else generator.get_state(legacy=False)
    inside = 0 <= state["state"].get("pos", 0) <= 624 and 0 <= state.get("buffer_pos", 0) <= 4
    return "" if inside else "a generator of random numbers reads outside its buffer"


# What is looked at, by the name of a class or of one that it descends from.
_CHECKS: Mapping[str, Callable[[Any, int | None], str]] = {
    "BSpline": _check_spline, "BaseHistGradientBoosting": _check_boosted,
    "BaseLibSVM": _check_support_vectors, "BinaryTree32": _check_neighbours,
    "BinaryTree64": _check_neighbours, "BisectingKMeans": _check_bisected,
    "CountVectorizer": _check_vocabulary, "DictVectorizer": _check_vocabulary,
    "DistanceMetric": _check_metric, "Generator": _check_random,
    "NeighborsBase": _check_neighbourhood, "OneHotEncoder": _check_encoder,
    "RandomState": _check_random, "Tree": _check_tree, "TreePredictor": _check_predictor,
    "_BaseKMeans": _check_clusters, "_spbase": _check_sparse,
}  # fmt: skip
