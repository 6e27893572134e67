"""Carries out one order in a process of the step's own, and says in plain words what went wrong.

It is the workshop of ``sandbox.task_process``: :func:`prepare_process` comes first, before the
packages of the steps are imported, and :func:`carry_out_task` in each step's process.
"""

from __future__ import annotations

import faulthandler
import functools
import io
import logging
import os
import resource
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from msgspec.structs import replace

from towpath.config.artifact import Json, Made
from towpath.credentials import hide_credentials, hide_known, remember_values
from towpath.errors import Fault, Place, StepFailed, TowpathError, name_causes
from towpath.sandbox.log_mask import LogMask
from towpath.sandbox.task_process import flush_output
from towpath.secret_forms import secret_forms
from towpath.steps import kinds, metric_log, project_functions, step_secrets
from towpath.steps.watched_files import Watch
from towpath.steps.work_order import Order


def prepare_process(root: str, folder: str) -> None:
    """Make this process one that a project's code may be imported in."""
    os.chdir(root)
    install_figure_settings()
    project_functions.make_project_importable(Path(root), folder)
    project_functions.import_from_source(Path(root))
    _watch_project(root)


@functools.cache
def _watch_project(root: str) -> Watch:
    return Watch.of_project(root)  # once a process: an audit hook cannot be taken away again


def carry_out_task(order: Order) -> Made:
    """Carry out a step. It changes its process: working directory, output, modules.

    What the step prints, logs and warns goes to ``order.log``. The facts tell of the resources
    that it used (``usage``), and of files that it opened without declaring them (``undeclared``).

    :raises TowpathError: for whatever stops the step; the log has the traceback.
    """
    order.directory.mkdir(parents=True, exist_ok=True)
    order.remove_bytes()  # of an attempt whose process, or who waited for it, is gone
    mask = _mask_secrets(order)
    divert_output(order.log, mask)
    metric_log.begin_metrics(order.directory)
    os.chdir(order.root)
    project_functions.make_project_importable(order.root, order.folder)
    watch = _watch_project(str(order.root))
    seconds_before, _ = measure_usage()
    try:
        result = kinds.execute_order(order)
        step_secrets.refuse_secrets_in_facts(order, result)
    except TowpathError as error:
        _show_error(error, order)
        raise
    except BaseException as error:  # the step's own code raised: sys.exit is no exception
        raise _step_failure(error, order) from None
    finally:
        watch.on = False
        metric_log.settle_metrics()
        if mask:
            metric_log.hide_secrets(order.directory)
            flush_output()
            mask.settle()
    facts = _step_facts(order, watch, seconds_before)
    undeclared = [result.facts.get("undeclared"), facts.get("undeclared")]  # programs', its own
    if names := [name for paths in undeclared if isinstance(paths, list) for name in paths]:
        facts["undeclared"] = list(dict.fromkeys(names))
    return replace(result, facts={**result.facts, **facts})


def _mask_secrets(order: Order) -> LogMask | None:
    values = step_secrets.secret_values(order)
    if not values:
        return None
    remember_values(values.values())
    return LogMask.start(order.log, {f for v in values.values() for f in secret_forms(v)})


def divert_output(log: Path, mask: LogMask | None = None) -> None:
    """Send all that this process prints, from Python and from below it, to a file; with ``mask``
    by way of that."""
    sys.stdout.flush()
    sys.stderr.flush()
    log_file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(mask.descriptor if mask else log_file, stream)
    os.close(log_file)
    # Python's own: a package may have put another before them as it was imported, as colorama does,
    # which dvc imports.
    for name in ("stdout", "stderr"):
        text = getattr(sys, f"__{name}__")
        assert isinstance(text, io.TextIOWrapper)
        if mask is None:
            text.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
        else:
            _print_into_pipe(name, text)
    faulthandler.enable(2)
    start_step_logging()


def _print_into_pipe(name: str, before: io.TextIOWrapper) -> None:
    # One that was made for a file would ask the pipe where it stands, which a pipe cannot tell.
    stream = open(  # noqa: SIM115 - it lasts as long as the process
        before.fileno(), "w", buffering=1, encoding="utf-8", errors="backslashreplace",
        closefd=False,
    )  # fmt: skip
    if getattr(sys, name) is before:
        setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _step_facts(order: Order, watch: Watch, seconds_before: float) -> dict[str, Json]:
    seconds, peak_memory = measure_usage()
    usage: Json = {"cpu_seconds": round(seconds - seconds_before, 3), "peak_memory": peak_memory}
    facts: dict[str, Json] = {"usage": usage}
    if undeclared := watch.undeclared_files(_declared_files(order)):
        facts["undeclared"] = [hide_known(name) for name in undeclared]
    if written := watch.files_left():
        facts["written"] = [hide_known(name) for name in written]
    if last := metric_log.last_metrics(order.directory):
        facts["metrics"] = dict(last)
    return facts


def _declared_files(order: Order) -> tuple[str, ...]:
    """Files that the step's key holds: those that ``code:`` names, and a check's suite."""
    suite = getattr(order.step, "expectations", None)
    return (*order.code, f"{order.folder}/{suite}") if suite else order.code


def measure_usage() -> tuple[float, int]:
    """What this process and its ended children used so far: seconds of CPU, bytes of memory."""
    whom = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    parts = [resource.getrusage(who) for who in whom]
    unit = 1 if sys.platform == "darwin" else 1024
    seconds = sum(part.ru_utime + part.ru_stime for part in parts)
    return seconds, max(part.ru_maxrss for part in parts) * unit


def _show_error(error: TowpathError, order: Order) -> None:
    """Put our own words into the log too, with the traceback of what they stem from as far as that
    went through the project's code: a package's own way to its error helps nobody."""
    cause = error.__cause__
    tail = cause and users_part(cause.__traceback__, order.root)
    if cause is not None and tail and _is_users(tail.tb_frame.f_code.co_filename, order.root):
        traceback.print_exception(type(cause), cause, tail)
    print("\n".join(str(fault) for fault in error.faults), file=sys.stderr)


def _step_failure(error: BaseException, order: Order) -> StepFailed:
    """What the step's code raised, at the last line of the project that it went through."""
    tail = users_part(error.__traceback__, order.root)
    traceback.print_exception(type(error), error, tail)
    hint = None
    if isinstance(error, ModuleNotFoundError):
        hint = project_functions.hint_missing_module(order.root, str(error))
    fault = Fault(_error_words(error), _error_place(error, order), hint)
    return StepFailed(fault, causes=name_causes(type(error)))


def _error_words(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the step called sys.exit({'' if error.code is None else repr(error.code)})"
    words = str(error).strip().encode(errors="backslashreplace").decode()
    words = hide_credentials(words)  # before the cut, which would leave a part that none knows
    if len(words) > 600:
        words = words[:600] + " ..."
    name = type(error).__name__
    return f"{name}: {words}" if words else name


def users_part(tail: TracebackType | None, root: Path) -> TracebackType | None:
    """The traceback from the project's first line on; the whole where none is the project's."""
    begin = tail
    while begin is not None:
        if _is_users(begin.tb_frame.f_code.co_filename, root):
            return begin
        begin = begin.tb_next
    return tail


def _error_place(error: BaseException, order: Order) -> Place | None:
    if isinstance(error, SyntaxError) and error.filename and _is_users(error.filename, order.root):
        file = _relative_path(error.filename, order.root)
        return Place(file, error.lineno or 0, error.offset or 0)
    place = None
    tail = error.__traceback__
    while tail is not None:
        file = tail.tb_frame.f_code.co_filename
        if _is_users(file, order.root):
            place = Place(_relative_path(file, order.root), tail.tb_lineno)
        tail = tail.tb_next
    run = getattr(order.step, "run", None)
    if place is None and run:
        place = project_functions.function_place(order.root, order.folder, run)
    return place


def _is_users(file: str, root: Path) -> bool:
    path = Path(file)
    inside = path.is_relative_to(root) and not path.is_relative_to(sys.prefix)
    return inside and "site-packages" not in path.parts


def _relative_path(file: str, root: Path) -> str:
    return Path(file).relative_to(root).as_posix()


# The logging of a step's process: shown as it is, and the step's own to set up.
#
# Without a word of the step's, all from INFO on goes to its log. That is done by Python's handler
# of last resort, so that the root logger has none, and ``logging.basicConfig`` does what it does in
# a plain script: with a handler of ours in its place it would do nothing, and say nothing of that.

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_original = logging.basicConfig


def start_step_logging() -> None:
    """Begin anew for a step."""
    root = logging.getLogger()
    for handler in list(root.handlers):  # as a package may have left them that was imported before
        root.removeHandler(handler)
        handler.close()
    last_resort = logging.StreamHandler(sys.stderr)
    last_resort.setFormatter(logging.Formatter(_FORMAT, "%H:%M:%S"))
    last_resort.addFilter(_is_shown)
    logging.lastResort = last_resort
    root.setLevel(logging.INFO)
    logging.basicConfig = _basic_config


def _is_shown(record: logging.LogRecord) -> bool:
    """Whether a script would show it too: a library that keeps its records from the root logger
    (``propagate = False``) has its warnings shown, and no more."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger and logger.parent and logger.propagate:
        logger = logger.parent
    return record.levelno >= logging.WARNING or logger is logging.getLogger()


@functools.wraps(_original)
def _basic_config(**asked: Any) -> None:
    """What a step calls as ``logging.basicConfig``: the same, from the level that a script has.

    ``logging.info`` and its like call it too where nothing is set up, which is no wish of the
    step's: then all stays as it is shown anyhow.
    """
    root = logging.getLogger()
    if sys._getframe(1).f_globals.get("__name__") == logging.__name__:
        return
    if root.level == logging.INFO and (not root.handlers or asked.get("force")):
        root.setLevel(logging.WARNING)
    _original(**asked)


# The same figure in the same bytes, also where the step saves it by itself.
#
# matplotlib draws the names inside of an SVG at random, and writes the time into an SVG, a PDF and
# a PostScript file. The first is a setting of its own, put right as soon as somebody imports it;
# the second it takes from ``SOURCE_DATE_EPOCH``, which a step's process has from its beginning
# (``sandbox.process_tree``). Nothing here imports matplotlib.

_SETTING = "svg.hashsalt"
_SALT = "towpath"


class _AfterImport:
    """A finder of modules that finds matplotlib as the others do, and has it set up afterwards."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "matplotlib":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            set_figure_salt(module)

        # The loader stays what it is: data files of the package are found by its class.
        loader.exec_module = exec_module
        return spec


def install_figure_settings() -> None:
    """From now on matplotlib is set up when it is imported."""
    if not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())
    if "matplotlib" in sys.modules:
        set_figure_salt(sys.modules["matplotlib"])


def set_figure_salt(matplotlib: Any) -> None:
    """Give the names in an SVG one beginning, unless the project's ``matplotlibrc`` gives one;
    the defaults too, to which ``rcdefaults()`` and styles go back."""
    for settings in ("rcParams", "rcParamsDefault", "rcParamsOrig"):
        values = getattr(matplotlib, settings, None)
        if values is not None and values.get(_SETTING) is None:
            values[_SETTING] = _SALT
