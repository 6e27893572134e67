"""What makes reading unsure, and how far it then widens: the visible tables."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Widening(Enum):
    """How far a digest widens."""

    MODULE = "the module that says it, whole, with all it imports"
    PROJECT = "every module of the project"
    TEXT = "every module of the project, comments and docstrings too"
    DOCSTRINGS = "docstrings count"


_NAMES: dict[str, Widening] = {
    # names looked up at run time
    "globals": Widening.MODULE,
    "eval": Widening.PROJECT,
    "exec": Widening.PROJECT,
    "compile": Widening.PROJECT,
    "__import__": Widening.PROJECT,
    "__builtins__": Widening.PROJECT,
    "__path__": Widening.PROJECT,
    "builtins": Widening.PROJECT,
    "importlib": Widening.PROJECT,
    "imp": Widening.PROJECT,
    "pkgutil": Widening.PROJECT,
    "runpy": Widening.PROJECT,
    "zipimport": Widening.PROJECT,
    "gc": Widening.PROJECT,
    "ctypes.pythonapi": Widening.PROJECT,
    "sys.modules": Widening.PROJECT,
    "sys.path": Widening.PROJECT,
    "sys.meta_path": Widening.PROJECT,
    "sys.path_hooks": Widening.PROJECT,
    "sys._getframe": Widening.TEXT,
    "sys.settrace": Widening.TEXT,
    "sys.setprofile": Widening.TEXT,
    "site": Widening.PROJECT,
    "unittest.mock": Widening.PROJECT,
    # another process may run any file
    "subprocess": Widening.PROJECT,
    "os.system": Widening.PROJECT,
    "os.popen": Widening.PROJECT,
    "asyncio.create_subprocess_exec": Widening.PROJECT,
    "asyncio.create_subprocess_shell": Widening.PROJECT,
    "asyncio.subprocess": Widening.PROJECT,
    "nbclient": Widening.PROJECT,
    "papermill": Widening.PROJECT,
    "pexpect": Widening.PROJECT,
    "plumbum": Widening.PROJECT,
    "sh": Widening.PROJECT,
    **{f"os.{each}{how}": Widening.PROJECT for each in ("exec", "spawn", "posix_spawn")
       for how in ("", "l", "le", "lp", "lpe", "v", "ve", "vp", "vpe", "p")},
    # pickles name their classes and functions
    "pickle": Widening.PROJECT,
    "_pickle": Widening.PROJECT,
    "shelve": Widening.PROJECT,
    "dill": Widening.PROJECT,
    "cloudpickle": Widening.PROJECT,
    "joblib.load": Widening.PROJECT,
    "torch.load": Widening.PROJECT,
    "pandas.read_pickle": Widening.PROJECT,
    "skops.io.load": Widening.PROJECT,
    "skops.io.loads": Widening.PROJECT,
    "yaml.unsafe_load": Widening.PROJECT,
    "yaml.UnsafeLoader": Widening.PROJECT,
    "yaml.Loader": Widening.PROJECT,
    "yaml.CLoader": Widening.PROJECT,
    # names in texts and settings
    "hydra": Widening.PROJECT,
    "logging.config": Widening.PROJECT,
    "pkg_resources": Widening.PROJECT,
    "stevedore": Widening.PROJECT,
    "lazy_loader": Widening.PROJECT,
    # the text of the code is read
    "inspect": Widening.TEXT,
    "traceback": Widening.TEXT,
    "linecache": Widening.TEXT,
    "pydoc": Widening.TEXT,
    "doctest": Widening.TEXT,
    # expressions in strings that name what the calling module has
    "pandas.eval": Widening.MODULE,
    "patsy": Widening.MODULE,
    "formulaic": Widening.MODULE,
    "statsmodels": Widening.MODULE,
    "numexpr": Widening.MODULE,
    "duckdb": Widening.MODULE,
    "polars.sql": Widening.MODULE,
    "polars.SQLContext": Widening.MODULE,
    "pandasql": Widening.MODULE,
    # docstrings are read: they are prompts
    "__doc__": Widening.DOCSTRINGS,
    "dspy": Widening.DOCSTRINGS,
    "fastmcp": Widening.DOCSTRINGS,
    "langchain": Widening.DOCSTRINGS,
    "langchain_core": Widening.DOCSTRINGS,
    "llama_index": Widening.DOCSTRINGS,
    "pydantic_ai": Widening.DOCSTRINGS,
    "smolagents": Widening.DOCSTRINGS,
}  # fmt: skip

_SURE = frozenset(
    [f"{pickler}.{what}" for pickler in ("pickle", "cloudpickle", "dill")
     for what in ("dump", "dumps", "HIGHEST_PROTOCOL", "PickleError", "PicklingError")]
    + [f"inspect.{what}" for what in ("signature", "Parameter", "isclass", "isfunction")]
    + [f"traceback.print_{what}" for what in ("exc", "exception", "stack", "tb")]
    + ["importlib.metadata", "importlib.resources", "importlib.util.find_spec",
       "subprocess.CalledProcessError"]
)  # fmt: skip

_SIGNS: dict[str, Widening] = {
    "globals": Widening.MODULE,
    "expression": Widening.MODULE,
    "frames": Widening.PROJECT,
    "model_json_schema": Widening.DOCSTRINGS,
    "pickle": Widening.PROJECT,
    "__doc__": Widening.DOCSTRINGS,
    "__subclasses__": Widening.PROJECT,
    "__globals__": Widening.PROJECT,
    "__builtins__": Widening.PROJECT,
    "f_globals": Widening.PROJECT,
    "f_locals": Widening.PROJECT,
    "f_back": Widening.TEXT,
    "f_lineno": Widening.TEXT,
    "tb_lineno": Widening.TEXT,
    "__code__": Widening.TEXT,
    "gi_frame": Widening.TEXT,
    "cr_frame": Widening.TEXT,
    "tb_frame": Widening.TEXT,
}


def of_name(dotted: str, is_module: bool = False) -> Widening | None:
    """What speaking of an outside name (``sys.modules.get``, ``eval``, ``sys`` itself) widens."""
    if is_module and dotted in ("sys", "os", "asyncio", "skops", "skops.io", "joblib"):
        return Widening.TEXT
    if is_module and dotted == "pandas":
        return Widening.MODULE
    parts = dotted.split(".")
    leading = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    if any(each in _SURE for each in leading):
        return None
    return next((_NAMES[each] for each in leading if each in _NAMES), None)


def of_signs(signs: Iterable[str]) -> frozenset[Widening]:
    """What the signs in a piece of code widen."""
    return frozenset(_SIGNS[each] for each in signs if each in _SIGNS)
