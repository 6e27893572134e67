"""Whether the decision trees in a loaded model stay inside themselves.

scikit-learn follows a tree's indices without looking, so a made-up file could read memory that
is none of its business. The types are harmless, the numbers in them need this check.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_DEEPEST = 100


def unsafe(model: object) -> str:
    """Why a tree in ``model`` cannot be walked safely; empty where all can."""
    for tree, features in _trees(model, None, set(), 0):
        fault = _predictor(tree, features) if hasattr(tree, "nodes") else _tree(tree, features)
        if fault:
            return fault
    return ""


def _trees(
    value: Any, features: int | None, seen: set[int], depth: int
) -> Iterator[tuple[Any, int | None]]:
    """Every tree inside, with the number of columns that the estimator around it lets in."""
    if id(value) in seen or depth > _DEEPEST or isinstance(value, str | bytes | int | float | None):
        return
    seen.add(id(value))
    if type(value).__name__ in ("Tree", "TreePredictor") and type(value).__module__.startswith(
        "sklearn."
    ):
        yield value, features
        return
    inner = vars(value).get("n_features_in_", features) if hasattr(value, "__dict__") else features
    for part in _parts(value):
        yield from _trees(part, inner, seen, depth + 1)


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


def _tree(tree: Any, features: int | None) -> str:
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    width = tree.n_features if features is None else min(features, tree.n_features)
    return _walk(left, right, feature, left == -1, (left == -1) == (right == -1), width)


def _predictor(tree: Any, features: int | None) -> str:
    nodes = tree.nodes
    if not len(nodes):
        return "a tree has no nodes"
    leaf = nodes["is_leaf"].astype(bool)
    by_category = ~leaf & nodes["is_categorical"].astype(bool)
    sets = min(len(tree.binned_left_cat_bitsets), len(tree.raw_left_cat_bitsets))
    if (nodes["bitset_idx"][by_category] >= sets).any():
        return "a tree points to categories that are not there"
    return _walk(nodes["left"], nodes["right"], nodes["feature_idx"], leaf, leaf | True, features)


def _walk(left: Any, right: Any, feature: Any, leaf: Any, paired: Any, width: int | None) -> str:
    """Children stand behind their parent, so that a walk ends, and before the end of the array."""
    import numpy

    inner = ~leaf
    here = numpy.arange(len(left))[inner]
    for child in (left[inner].astype("int64"), right[inner].astype("int64")):
        if not ((child > here) & (child < len(left))).all():
            return "a tree points outside itself"
    if not paired.all():
        return "a node of a tree has one child"
    used = feature[inner].astype("int64")
    if (used < 0).any() or (width is not None and (used >= width).any()):
        return "a tree asks for columns that are not there"
    return ""
