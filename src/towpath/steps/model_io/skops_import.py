"""The way to skops: without the whole of scikit-learn, which skops imports to list its estimators.

The list is what skops trusts where its caller does not say what. Towpath says it at each call
(`allowed_types`), and who does not is given the list all the same, made when it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

_NAMES = "SKLEARN_ESTIMATOR_TYPE_NAMES"
_says_trust: ContextVar[bool] = ContextVar("says_trust", default=False)


class _LateNames(list[str]):
    """The full names of scikit-learn's estimators, from the first moment that somebody looks."""

    def __add__(self, others: Iterable[str]) -> list[str]:  # type: ignore[override]
        return [*([] if _says_trust.get() else self), *others]

    def __iter__(self) -> Iterator[str]:
        if not len(self):
            self.extend(_list_estimators())
        return super().__iter__()

    def __contains__(self, name: object) -> bool:
        return any(name == held for held in self)


def _list_estimators() -> Iterator[str]:
    from sklearn.utils import all_estimators

    for _, estimator in all_estimators():
        if estimator.__module__.startswith("sklearn."):
            yield f"{estimator.__module__}.{estimator.__name__}"


def _import_without_list() -> Any:
    if "skops.io" not in sys.modules:
        utils: Any = import_module("sklearn.utils")
        list_all = utils.all_estimators
        utils.all_estimators = list
        try:
            import_module("skops.io")
        finally:
            utils.all_estimators = list_all
        names = _LateNames()
        for module in ("skops.io._trusted_types", "skops.io._general"):
            setattr(sys.modules[module], _NAMES, names)
    from skops import io

    return io


skops_io = _import_without_list()


@contextmanager
def trusting_named_types() -> Iterator[None]:
    """While skops is told what it trusts, and needs no list of its own."""
    token = _says_trust.set(True)
    try:
        yield
    finally:
        _says_trust.reset(token)
