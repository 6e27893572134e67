"""Whether indices inside a loaded model stay inside what they index.

scikit-learn's compiled code follows a tree's indices without looking, so that a made-up file could
read memory that is none of its business. The types are harmless; the numbers in them need this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_DEEPEST = 100


def fault(model: object) -> str:
    """Why part of ``model`` cannot be used safely; empty where all of it can."""
    for part, width in _indexed(model, None, set(), 0):
        if found := _CHECKS[type(part).__name__](part, width):
            return found
    return ""


def _indexed(
    value: Any, width: int | None, seen: set[int], depth: int
) -> Iterator[tuple[Any, int | None]]:
    """Every part with indices, and how many columns the estimator around it lets in."""
    if id(value) in seen or depth > _DEEPEST or isinstance(value, str | bytes | int | float | None):
        return
    seen.add(id(value))
    if type(value).__name__ in _CHECKS and type(value).__module__.startswith("sklearn."):
        yield value, width
        return
    inner = vars(value).get("n_features_in_", width) if hasattr(value, "__dict__") else width
    for part in _parts(value):
        yield from _indexed(part, inner, seen, depth + 1)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple | set):
        yield from value
    elif type(value).__name__ == "ndarray":
        if value.dtype == object:
            yield from value.ravel().tolist()
    elif hasattr(value, "__dict__"):
        yield from vars(value).values()


def _tree(tree: Any, width: int | None) -> str:
    left, right = tree.children_left, tree.children_right
    leaf = left == -1
    if (leaf != (right == -1)).any():
        return "a node of a tree has one child"
    limit = tree.n_features if width is None else min(width, tree.n_features)
    return _walk(left, right, tree.feature, leaf, limit)


def _predictor(predictor: Any, width: int | None) -> str:
    nodes = predictor.nodes
    if not len(nodes):
        return "a tree has no nodes"
    leaf = nodes["is_leaf"].astype(bool)
    by_category = ~leaf & nodes["is_categorical"].astype(bool)
    sets = min(len(predictor.binned_left_cat_bitsets), len(predictor.raw_left_cat_bitsets))
    if (nodes["bitset_idx"][by_category] >= sets).any():
        return "a tree points to categories that are not there"
    return _walk(nodes["left"], nodes["right"], nodes["feature_idx"], leaf, width)


def _walk(left: Any, right: Any, feature: Any, leaf: Any, width: int | None) -> str:
    """Children stand behind their parent, so that a walk ends, and before the end of the array."""
    import numpy

    inner = ~leaf
    here = numpy.arange(len(left))[inner]
    for child in (left[inner].astype("int64"), right[inner].astype("int64")):
        if not ((child > here) & (child < len(left))).all():
            return "a tree points outside itself"
    used = feature[inner].astype("int64")
    if (used < 0).any() or (width is not None and (used >= width).any()):
        return "a tree asks for columns that are not there"
    return ""


def _neighbours(tree: Any, _width: int | None) -> str:
    import numpy

    data, order, nodes, _ = (numpy.asarray(array) for array in tree.get_arrays())
    count = len(data)
    outside = (order < 0).any() or (order >= count).any() or len(order) != count
    spans = (nodes["idx_start"] < 0) | (nodes["idx_end"] > count)
    if outside or spans.any() or (nodes["idx_start"] > nodes["idx_end"]).any():
        return "a tree of neighbours points outside itself"
    return ""


_CHECKS: Mapping[str, Callable[[Any, int | None], str]] = {
    "Tree": _tree,
    "TreePredictor": _predictor,
    **dict.fromkeys(("KDTree", "KDTree32", "KDTree64"), _neighbours),
    **dict.fromkeys(("BallTree", "BallTree32", "BallTree64"), _neighbours),
}
