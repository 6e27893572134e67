"""Formats of the project's own: its classes, which only a step's process loads and asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from towpath.errors import Fault, StepFailed
from towpath.steps import project_functions
from towpath.steps.formats import Format
from towpath.steps.work_order import Order


def read_own(order: Order, format: Format, path: Path) -> Any:
    """What the format's class reads from a file or a folder, which has its real name.

    Raises ``StepFailed`` for whatever the class raises.
    """
    try:
        return _make_reader(order, format).read(path)
    except StepFailed:
        raise
    except Exception as error:
        what = f"{path.name} cannot be read as {format.name}: {_error_words(error)}"
        raise StepFailed(Fault(what), causes=_cause_names(error)) from error


def write_own(order: Order, format: Format, value: Any, path: Path) -> None:
    """Let the format's class write a value at a path; raises as ``read_own`` does."""
    try:
        _make_reader(order, format).write(value, path)
    except StepFailed:
        raise
    except Exception as error:
        what = f"cannot be written as {format.name}: {_error_words(error)}"
        raise StepFailed(Fault(what), causes=_cause_names(error)) from error


def _make_reader(order: Order, format: Format) -> Any:
    format_class = project_functions.load_function(order.root, order.folder, format.run)
    return format_class()


def _error_words(error: Exception) -> str:
    words = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _cause_names(error: Exception) -> tuple[str, ...]:
    return tuple(kind.__name__ for kind in type(error).__mro__)
