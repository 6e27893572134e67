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
difference format encode splitlines capitalize casefold decode endswith find isalnum isalpha
isdigit lstrip partition removeprefix removesuffix rfind rpartition rsplit rstrip startswith title
translate maketrans zfill symmetric_difference isdisjoint issubset issuperset fromkeys hex fromhex
from_bytes to_bytes bit_length is_integer from_iterable most_common total from_float
absolute as_posix as_uri cwd exists expanduser glob home is_absolute is_dir is_file iterdir joinpath
parents read_bytes read_text relative_to is_relative_to resolve rglob stat with_name with_stem
with_suffix
astimezone combine date fromisoformat fromordinal fromtimestamp isocalendar isoformat isoweekday now
strftime strptime time timestamp today toordinal total_seconds utcnow weekday
end findall finditer fullmatch group groupdict groups match search span start sub subn
astype drop dropna fillna flatten from_dict from_records head isin item normalize ravel rename
reset_index reshape set_index sort_index sort_values squeeze tail to_dict to_frame to_list to_numpy
to_pydatetime tolist transpose tz_convert tz_localize unique
"""
_BUILTINS = """
dict list set tuple frozenset int float str bool bytes bytearray complex object range len sorted min
max sum abs round zip enumerate reversed slice divmod pow chr ord repr hash any all isinstance
issubclass id hex oct bin ascii staticmethod classmethod property super hasattr callable
Exception ValueError TypeError KeyError RuntimeError ArithmeticError LookupError OSError
AttributeError IndexError NotImplementedError UserWarning Warning BaseException
"""
_OF_PYTHON = """
abc.ABC abc.ABCMeta abc.abstractmethod abc.abstractproperty collections.defaultdict
collections.deque collections.namedtuple contextlib.contextmanager contextlib.suppress
dataclasses.asdict dataclasses.astuple dataclasses.dataclass dataclasses.field dataclasses.fields
dataclasses.is_dataclass dataclasses.make_dataclass dataclasses.replace decimal.Context
decimal.Decimal decimal.getcontext decimal.localcontext enum.auto enum.member enum.nonmember
enum.unique enum.verify fractions.Fraction functools.cache functools.cached_property
functools.lru_cache functools.partial functools.total_ordering functools.wraps itertools.chain
itertools.combinations itertools.count itertools.islice itertools.permutations itertools.product
itertools.repeat itertools.zip_longest logging.getLogger operator.attrgetter operator.itemgetter
operator.methodcaller os.environ.get os.getenv struct.Struct struct.calcsize struct.iter_unpack
struct.pack struct.unpack struct.unpack_from time.time time.perf_counter types.GenericAlias
types.MappingProxyType types.MethodType types.ModuleType types.SimpleNamespace types.new_class
"""
_OF_PACKAGES = """
attr.attrib attr.attrs attr.define attr.field attr.frozen attr.ib attr.mutable attr.s attrs.Factory
attrs.define attrs.field attrs.frozen attrs.mutable numba.jit numba.njit numpy.abs numpy.arange
numpy.array numpy.asarray numpy.dtype numpy.exp numpy.eye numpy.finfo numpy.float32 numpy.float64
numpy.full numpy.iinfo numpy.int32 numpy.int64 numpy.linspace numpy.log numpy.log10 numpy.logspace
numpy.ones numpy.random.RandomState numpy.random.default_rng numpy.sqrt numpy.vectorize numpy.zeros
pandas.CategoricalDtype pandas.DataFrame pandas.DatetimeIndex pandas.Index pandas.Interval
pandas.Series pandas.Timedelta pandas.Timestamp pandas.date_range pandas.to_datetime
pandas.to_timedelta pyarrow.field pyarrow.schema pydantic.BaseModel pydantic.ConfigDict
pydantic.Field pydantic.RootModel sklearn.base.clone sklearn.compose.make_column_selector
sklearn.compose.make_column_transformer sklearn.pipeline.make_pipeline sklearn.pipeline.make_union
torch.device torch.nn.Module torch.nn.ModuleDict torch.nn.ModuleList torch.nn.Sequential
"""
_MODULES = """
attrs.converters attrs.validators datetime math os.path pathlib re string typing typing_extensions
uuid
"""
_CLASSES = """
collections collections.abc enum sklearn.base sklearn.cluster sklearn.compose sklearn.decomposition
sklearn.ensemble sklearn.feature_selection sklearn.impute sklearn.linear_model
sklearn.model_selection sklearn.neighbors sklearn.pipeline sklearn.preprocessing sklearn.svm
sklearn.tree
"""
_CHANGING = """
abc.abstractmethod abc.abstractproperty attr.attrs attr.define attr.frozen attr.mutable attr.s
attrs.define attrs.frozen attrs.mutable dataclasses.dataclass enum.unique enum.verify
functools.total_ordering typing.dataclass_transform typing.final typing.no_type_check
typing.overload typing.override typing.runtime_checkable typing_extensions.final
typing_extensions.override typing_extensions.runtime_checkable
"""
_ITERATORS = """
enumerate filter iter map reversed zip itertools re.finditer struct.iter_unpack
"""

FILLING = frozenset(_FILLING.split())
"""Methods of containers that change them."""

READING = frozenset(_READING.split())
"""Methods of containers, texts, paths, dates and tables that change nothing."""

OF_SUBCLASSES = frozenset({"__init_subclass__", "__set_name__", "__class_getitem__", "__del__"})
"""Methods that run when somebody else is defined, or ends."""

OF_PROPERTIES = frozenset({"setter", "getter", "deleter"})
"""Decorators that a property hands out."""

HOLDING = frozenset({"functools.partial", "functools.wraps", "functools.lru_cache"})
"""What takes a function and does not call it."""

CHANGING = frozenset(_CHANGING.split())
"""Decorators that change what they are given: harmless only above its definition."""

ITERATORS = frozenset(_ITERATORS.split())
"""What makes a value that ends when it is read: who reads it twice finds nothing."""

ENDING = frozenset({"finditer", "from_iterable", "glob", "iterdir", "rglob"})
"""Methods that make such a value."""

KEEPING = frozenset({"functools.partial", "types.MappingProxyType", "types.SimpleNamespace"})
"""What keeps its arguments as they are, where others read them to their end."""

CALLED = frozenset({"default_factory", "factory", "key"})
"""Keywords whose argument is called."""

INTO = frozenset({"inplace", "out"})
"""Keywords that say which value to change."""

INTO_SECOND = frozenset(f"numpy.{each}" for each in ("abs", "exp", "log", "log10", "sqrt"))
"""What writes into its second argument."""

OF_BASES = frozenset({"_generate_next_value_", "_missing_", "model_post_init"})
"""Methods that a library's base class calls when a class or an instance is made."""

_HARMLESS = frozenset((_BUILTINS + _OF_PYTHON + _OF_PACKAGES).split())
_ALL_OF = frozenset(_MODULES.split())
_CLASSES_OF = frozenset(_CLASSES.split())
_NOT = frozenset({"attrs.validators.set_disabled", "typing.clear_overloads"})


def is_harmless(dotted: str) -> bool:
    """Whether calling, or deriving from, this name of a package or of Python makes only a value.

    A method of something in the tables (``dict.fromkeys``) must be one that only reads.
    """
    parts = dotted.split(".")
    for count in range(1, len(parts) + 1):
        if _is_listed(parts[:count]):
            return READING.issuperset(parts[count:])
    return False


def _is_listed(parts: list[str]) -> bool:
    name, module = ".".join(parts), ".".join(parts[:-1])
    return (
        name in _HARMLESS
        or (module in _ALL_OF and name not in _NOT)
        or (module in _CLASSES_OF and parts[-1][:1].isupper())
    )
