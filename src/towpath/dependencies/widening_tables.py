"""What makes reading unsure, and how far it then widens: the visible tables."""

from __future__ import annotations

from enum import Enum


class Widening(Enum):
    MODULE = "the module that says it, whole, with all it imports"
    PROJECT = "every module of the project"
    TEXT = "every module of the project, comments and docstrings too"
    DOCSTRINGS = "docstrings count"


#: Names looked up at run time, and expressions in strings that name what the calling module has.
_OF_MODULE = """
globals
pandas.eval patsy formulaic statsmodels numexpr duckdb polars.sql polars.SQLContext pandasql
"""

#: By line: names looked up at run time; other processes, which may run any file; pickles, which
#: name their classes and functions; names in texts and settings.
_OF_PROJECT = """
eval exec compile __import__ __builtins__ __path__ builtins importlib imp pkgutil runpy zipimport gc
ctypes.pythonapi sys.modules sys.path sys.meta_path sys.path_hooks site unittest.mock
subprocess os.system os.popen nbclient papermill pexpect plumbum sh
asyncio.create_subprocess_exec asyncio.create_subprocess_shell asyncio.subprocess
pickle _pickle shelve dill cloudpickle joblib.load torch.load pandas.read_pickle skops.io.load
skops.io.loads yaml.unsafe_load yaml.UnsafeLoader yaml.Loader yaml.CLoader
hydra logging.config pkg_resources stevedore lazy_loader
"""

#: Readers of the text of the code.
_OF_TEXT = """
inspect traceback linecache pydoc doctest sys._getframe sys.settrace sys.setprofile
"""

#: Readers of docstrings: they are prompts.
_OF_DOCSTRINGS = """
__doc__ dspy fastmcp langchain langchain_core llama_index pydantic_ai smolagents
"""

_NAMES = {
    name: widening
    for names, widening in (
        (_OF_MODULE, Widening.MODULE),
        (_OF_PROJECT, Widening.PROJECT),
        (_OF_TEXT, Widening.TEXT),
        (_OF_DOCSTRINGS, Widening.DOCSTRINGS),
    )
    for name in names.split()
} | {
    f"os.{program}{how}": Widening.PROJECT
    for program in ("exec", "spawn", "posix_spawn")
    for how in ("", "l", "le", "lp", "lpe", "v", "ve", "vp", "vpe", "p")
}
_SURE = frozenset(
    [f"{pickler}.{what}" for pickler in ("pickle", "cloudpickle", "dill")
     for what in ("dump", "dumps", "HIGHEST_PROTOCOL", "PickleError", "PicklingError")]
    + [f"inspect.{what}" for what in ("signature", "Parameter", "isclass", "isfunction")]
    + [f"traceback.print_{what}" for what in ("exc", "exception", "stack", "tb")]
    + ["importlib.metadata", "importlib.resources", "importlib.util.find_spec",
       "subprocess.CalledProcessError"]
)  # fmt: skip

#: What a sign in what a piece of code names (`UsedNames.signs`) widens.
SIGNS: dict[str, Widening] = {
    "globals": Widening.MODULE, "expression": Widening.MODULE, "frames": Widening.PROJECT,
    "model_json_schema": Widening.DOCSTRINGS, "pickle": Widening.PROJECT,
    "__doc__": Widening.DOCSTRINGS, "__subclasses__": Widening.PROJECT,
    "__globals__": Widening.PROJECT, "__builtins__": Widening.PROJECT,
    "f_globals": Widening.PROJECT, "f_locals": Widening.PROJECT, "f_back": Widening.TEXT,
    "f_lineno": Widening.TEXT, "tb_lineno": Widening.TEXT, "__code__": Widening.TEXT,
    "gi_frame": Widening.TEXT, "cr_frame": Widening.TEXT, "tb_frame": Widening.TEXT,
}  # fmt: skip


def widening_of_name(dotted: str, is_module: bool = False) -> Widening | None:
    """What speaking of an outside name (``sys.modules.get``, ``eval``, ``sys`` itself) widens."""
    if is_module and dotted in ("sys", "os", "asyncio", "skops", "skops.io", "joblib"):
        return Widening.TEXT
    if is_module and dotted == "pandas":
        return Widening.MODULE
    parts = dotted.split(".")
    leading = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    if any(prefix in _SURE for prefix in leading):
        return None
    return next((_NAMES[prefix] for prefix in leading if prefix in _NAMES), None)
