"""Makes a project out of a template: the whole of it, or nothing."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from towpath.errors import Fault, UsageError, UserError
from towpath.projects import source
from towpath.projects.answers import answer, importing_from
from towpath.projects.catalogue import Template, find


class ProjectExistsError(UsageError):
    """The project's folder belongs to somebody else."""


def new(template: str, destination: Path, answers: Mapping[str, str], ask: bool) -> Path:
    """Make a project in a new folder of ``destination``, named by the answer ``name``.

    ``template`` is a name of the catalogue or a folder; ``answers`` are taken as they are, and
    ``ask`` says whether a person is asked for the rest. Returns the project's folder. Raises
    UsageError for answers that will not do and for a folder that exists, which is left alone;
    whatever fails later leaves nothing behind.
    """
    chosen = find(template)
    given = {"towpath": source.requirement(), **answers} if _asks_source(chosen) else answers
    complete = answer(chosen.folder, given, ask)
    project = destination.expanduser().resolve() / complete["name"]
    if project.exists() or project.is_symlink():
        hint = "give another name, or another folder"
        raise ProjectExistsError(Fault(f"{project} exists; nothing in it was changed", hint=hint))
    with _all_or_nothing(project):
        _generate(chosen.folder, project, complete)
    return project


def _asks_source(template: Template) -> bool:
    return '"towpath":' in (template.folder / "cookiecutter.json").read_text(encoding="utf-8")


@contextmanager
def _all_or_nothing(project: Path) -> Iterator[None]:
    made = _first_missing(project)
    try:
        yield
    except ProjectExistsError:
        raise
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise UsageError(f"{project} cannot be written: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _first_missing(path: Path) -> Path:
    """The outermost folder that making ``path`` would make."""
    return path if path.parent.exists() else _first_missing(path.parent)


def _generate(template: Path, project: Path, answers: Mapping[str, str]) -> None:
    from cookiecutter.exceptions import (
        CookiecutterException,
        FailedHookException,
        OutputDirExistsException,
    )
    from cookiecutter.main import cookiecutter

    logging.getLogger("cookiecutter").setLevel(logging.CRITICAL)  # it logs tracebacks of hooks
    with _settings() as settings, importing_from(template), _said_by_us():
        try:
            cookiecutter(
                str(template),
                no_input=True,
                extra_context=dict(answers),
                output_dir=str(project.parent),
                config_file=str(settings),
            )
        except OutputDirExistsException as error:  # made by another in this very moment
            raise ProjectExistsError(f"{project} exists; nothing in it was changed") from error
        except FailedHookException as error:
            raise UserError("the project could not be finished; why stands above") from error
        except CookiecutterException as error:
            raise UserError(f"the template {template} is not sound: {error}") from error


@contextmanager
def _settings() -> Iterator[Path]:
    """Settings for cookiecutter, so that nothing of this person's own is read or written."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "settings.yaml")
        folders = {"cookiecutters_dir": folder, "replay_dir": folder}
        settings.write_text(json.dumps(folders), encoding="utf-8")  # JSON is YAML
        yield settings


@contextmanager
def _said_by_us() -> Iterator[None]:
    """Tell the template's script that `towpath new` says what comes next."""
    os.environ["TOWPATH_NEW"] = "1"
    try:
        yield
    finally:
        del os.environ["TOWPATH_NEW"]
