"""What a module may call when it is imported, with no effect but a value: the tables."""

from __future__ import annotations

import ast
import sys

LOUD = (ast.Await, ast.Yield, ast.YieldFrom, ast.Raise, ast.Assert, ast.Global, ast.Nonlocal,
        ast.AsyncFor, ast.AsyncWith, ast.Delete)  # fmt: skip
"""Nodes that are never harmless when a module is imported."""

LATER: tuple[type[ast.AST], ...] = (ast.Lambda,)
"""Nodes whose inside does not run now."""
if sys.version_info >= (3, 12):
    LATER = (ast.Lambda, ast.TypeAlias)

_FILLING = """
append extend insert add update setdefault sort reverse pop remove discard clear appendleft popleft
"""
_READING = """
items keys values get copy index count split strip join lower upper replace union intersection
difference format encode splitlines
"""
_BUILTINS = """
dict list set tuple frozenset int float str bool bytes bytearray complex object range len sorted min
max sum abs round zip enumerate reversed slice divmod pow chr ord repr hash any all isinstance
issubclass id hex oct bin ascii staticmethod classmethod property super hasattr callable
Exception ValueError TypeError KeyError RuntimeError ArithmeticError LookupError OSError
AttributeError IndexError NotImplementedError UserWarning Warning BaseException
"""
_OF_PYTHON = """
abc collections contextlib.contextmanager contextlib.suppress dataclasses datetime decimal enum
fractions functools.cache functools.cached_property functools.lru_cache functools.partial
functools.total_ordering functools.wraps itertools.chain itertools.combinations itertools.count
itertools.islice itertools.permutations itertools.product itertools.repeat itertools.zip_longest
logging.getLogger math operator.attrgetter operator.itemgetter operator.methodcaller os.environ.get
os.getenv os.path pathlib re string struct time.time time.perf_counter types typing uuid
"""
_OF_PACKAGES = """
attr.define attr.field attr.frozen attrs numba.jit numba.njit numpy.abs numpy.arange numpy.array
numpy.asarray numpy.dtype numpy.exp numpy.eye numpy.finfo numpy.float32 numpy.float64 numpy.full
numpy.iinfo numpy.int32 numpy.int64 numpy.linspace numpy.log numpy.log10 numpy.logspace numpy.ones
numpy.random.RandomState numpy.random.default_rng numpy.sqrt numpy.vectorize numpy.zeros
pandas.CategoricalDtype pandas.DataFrame pandas.DatetimeIndex pandas.Index pandas.Interval
pandas.Series pandas.Timedelta pandas.Timestamp pandas.date_range pandas.to_datetime
pandas.to_timedelta pyarrow.field pyarrow.schema pydantic.BaseModel pydantic.ConfigDict
pydantic.Field pydantic.RootModel sklearn.base sklearn.cluster sklearn.compose
sklearn.decomposition sklearn.ensemble sklearn.feature_selection sklearn.impute
sklearn.linear_model sklearn.model_selection sklearn.neighbors sklearn.pipeline
sklearn.preprocessing sklearn.svm sklearn.tree torch.device torch.nn typing_extensions
"""

FILLING = frozenset(_FILLING.split())
"""Methods of containers that change them."""

READING = frozenset(_READING.split())
"""Methods of containers and texts that change nothing."""

OF_SUBCLASSES = frozenset({"__init_subclass__", "__set_name__", "__class_getitem__", "__del__"})
"""Methods that run when somebody else is defined, or ends."""

OF_PROPERTIES = frozenset({"setter", "getter", "deleter"})
"""Decorators that a property hands out."""

HOLDING = frozenset({"functools.partial", "functools.wraps", "functools.lru_cache"})
"""What takes a function and does not call it."""

_HARMLESS = frozenset((_BUILTINS + _OF_PYTHON + _OF_PACKAGES).split())
_NOT = frozenset({"abc.ABCMeta.register", "types.FunctionType"})


def is_harmless(dotted: str) -> bool:
    """Whether calling, or deriving from, this name of a package or of Python makes only a value."""
    parts = dotted.split(".")
    leading = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return dotted not in _NOT and not _HARMLESS.isdisjoint(leading)
