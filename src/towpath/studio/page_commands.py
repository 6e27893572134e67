"""The command that tells in a terminal what a page shows, for each kind of page that has one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from towpath.studio.pages.run_columns import find_column
from towpath.studio.pages.run_filter import RunFilter

if TYPE_CHECKING:
    from towpath.studio.pages.page_kind import PageKind, PageRequest
    from towpath.studio.pages.promotion_page import PromotionPage
    from towpath.studio.pages.run_table import RunTable
    from towpath.studio.pages.stage_page import StagePage

_LONGEST = 400  # characters of a command that somebody would type
_SORTED = ("started", "seconds")  # of what a run is, that the table of trials is sorted by


def name_page_command(kind: PageKind, request: PageRequest, view: Any) -> str:
    """What tells the same as a page that was gathered; "" where no command does."""
    name_command = _COMMANDS.get(kind.template)
    return name_command(request, view) if name_command else ""


def _command_of_runs(request: PageRequest, view: RunTable) -> str:
    """The table of trials, of one pipeline or of all; what else is asked for, only a page can."""
    run_filter = RunFilter.of_request(request)
    if run_filter != RunFilter(pipeline=run_filter.pipeline):
        return ""
    words = ["runs", "--metrics"]
    words += [f"--pipeline={run_filter.pipeline}"] if run_filter.pipeline else []
    shown = [row.run for row in view.rows]
    column = find_column(view.sort.removeprefix("-"), shown)
    if column and (column.kind != "run" or column.key in _SORTED):
        name = column.key if column.kind == "run" else column.title
        words.append(f"--sort={'-' if view.sort.startswith('-') else ''}{name}")
    return _write_command(*words)


def _command_of_run(request: PageRequest, _: object) -> str:
    run, step = request.names["run"], request.names.get("step")
    return _write_command("logs", run, step) if step else _write_command("show", run)


def _command_of_run_comparison(request: PageRequest, _: object) -> str:
    """Two runs are laid side by side in a terminal, more are not."""
    runs = request.list_values("run")
    return _write_command("diff", *_guard_words(*runs)) if len(runs) == 2 else ""


def _command_of_catalogue(request: PageRequest, _: object) -> str:
    query, sort = request.first_value("q").strip(), request.last_value("sort")
    if not query:
        return _write_command("models")
    return _write_command("search", *([f"--sort={sort}"] if sort else []), *_guard_words(query))


def _command_of_version_comparison(request: PageRequest, _: object) -> str:
    names = list(dict.fromkeys(request.list_values("version")))
    return _write_command("compare", *_guard_words(*names)) if len(names) > 1 else ""


def _command_of_stage(_: PageRequest, view: StagePage) -> str:
    """The history of the stage; of one with several models, what it runs."""
    models = {entry.model for entry in view.history}
    if len(models) != 1:
        return _write_command("status")
    return _write_command("history", *models, "--stage", view.stage)


def _command_of_promotion(_: PageRequest, view: PromotionPage) -> str:
    """The check of a branch that waits; of what was merged, its place in the history."""
    if view.waiting:
        return _write_command("check", "--promotion", "--head", view.waiting.branch)
    decided = view.decided
    return _write_command("history", decided.model, "--stage", decided.stage) if decided else ""


def _guard_words(*words: str) -> tuple[str, ...]:
    """Words of a query, of which none is taken for an option."""
    return ("--", *words) if any(word.startswith("-") for word in words) else words


def _write_command(*words: str) -> str:
    """A command as it is typed; "" for one that is too long to be."""
    command = shlex.join(["towpath", *words])
    return command if len(command) <= _LONGEST else ""


# By the template of a page: of data no command tells.
_COMMANDS: Mapping[str, Callable[[PageRequest, Any], str]] = {
    # What runs and what waits is told of now alone.
    "home": lambda _, view: "" if view.board.moment else "towpath status",
    "pipelines": lambda *_: "towpath check",
    "pipeline": lambda page, _: _write_command("graph", page.names["pipeline"]),
    "runs": _command_of_runs,
    "run": _command_of_run,
    "step_output": lambda page, _: _write_command(
        "get", page.names["run"], f"{page.names['step']}.{page.names['output']}"
    ),
    "run_comparison": _command_of_run_comparison,
    "models": _command_of_catalogue,
    "model": lambda page, _: _write_command("models", page.names["model"]),
    "version": lambda page, _: _write_command(
        "show", f"{page.names['model']}@{page.names['version']}"
    ),
    "version_comparison": _command_of_version_comparison,
    "stage": _command_of_stage,
    "promotions": lambda *_: "towpath approve",
    "promotion": _command_of_promotion,
}
