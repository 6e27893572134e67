"""Makes a project out of a template: the whole of it, or nothing."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from towpath.backends.cookiecutter.project_template import (
    CHECKOUT,
    ProjectTemplate,
    answer_questions,
    find_template,
    importing_from,
)
from towpath.errors import Fault, UsageError, UserError
from towpath.scratch import scratch_beside, scratch_folder, sweep_beside


class ProjectExistsError(UsageError):
    """The project's folder belongs to somebody else."""


def make_from_template(
    template: str, destination: Path, answers: Mapping[str, str], ask: bool
) -> Path:
    """Make a project in a new folder of ``destination``, named by the answer ``name``.

    ``template`` is a name of the catalogue or a folder; ``answers`` are taken as they are, and
    ``ask`` says whether a person is asked for the rest. Returns the project's folder. Raises
    UsageError for answers that will not do and for a folder that exists, which is left alone;
    whatever fails later leaves nothing behind.
    """
    chosen = find_template(template)
    known_answers = {"towpath": own_requirement(), **answers} if _asks_source(chosen) else answers
    complete = answer_questions(chosen.folder, known_answers, ask)
    project = destination.expanduser().resolve() / complete["name"]
    if project.exists() or project.is_symlink():
        hint = "give another name, or another folder"
        raise ProjectExistsError(Fault(f"{project} exists; nothing in it was changed", hint=hint))
    with _all_or_nothing(project) as scratch:
        _generate_project(chosen.folder, project, scratch, complete)
        _give_name(scratch / project.name, project)
    return project


def _asks_source(template: ProjectTemplate) -> bool:
    return '"towpath":' in (template.folder / "cookiecutter.json").read_text(encoding="utf-8")


@contextmanager
def _all_or_nothing(project: Path) -> Iterator[Path]:
    """A folder beside the project's place to make it in: it has its name once it is whole, and
    what a killed process left of another is swept away."""
    scratch = scratch_beside(project)
    missing = list(_missing_folders(project.parent))
    try:
        sweep_beside(project.parent)
        scratch.mkdir(mode=0o700, parents=True)
        yield scratch
    except OSError as error:
        raise UsageError(f"{project} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):  # what is not empty is the project's, or another's by now
            for folder in missing:
                folder.rmdir()


def _missing_folders(folder: Path) -> Iterator[Path]:
    """The folders that making ``folder`` would make, the innermost first."""
    while not folder.exists():
        yield folder
        folder = folder.parent


def _give_name(folder: Path, project: Path) -> None:
    """Put the whole project in its place, unless another made one there in this very moment."""
    try:
        folder.rename(project)
    except OSError as error:
        if not project.exists():
            raise
        raise ProjectExistsError(f"{project} exists; nothing in it was changed") from error


def _generate_project(
    template: Path, project: Path, into: Path, answers: Mapping[str, str]
) -> None:
    from cookiecutter.exceptions import CookiecutterException, FailedHookException
    from cookiecutter.main import cookiecutter

    logging.getLogger("cookiecutter").setLevel(logging.CRITICAL)  # it logs tracebacks of hooks
    with _scratch_settings() as settings, importing_from(template), _said_by_us(project):
        try:
            cookiecutter(
                str(template),
                no_input=True,
                extra_context=dict(answers),
                output_dir=str(into),
                config_file=str(settings),
            )
        except FailedHookException as error:
            raise UserError("the project could not be finished; why stands above") from error
        except CookiecutterException as error:
            raise UserError(f"the template {template} is not sound: {error}") from error


@contextmanager
def _scratch_settings() -> Iterator[Path]:
    """Settings for cookiecutter, so that nothing of this person's own is read or written."""
    with scratch_folder() as folder:
        settings = folder / "settings.yaml"
        folders = {"cookiecutters_dir": str(folder), "replay_dir": str(folder)}
        settings.write_text(json.dumps(folders), encoding="utf-8")  # JSON is YAML
        yield settings


@contextmanager
def _said_by_us(project: Path) -> Iterator[None]:
    """Tell the template's script that `towpath new` says what comes next, and where the project
    will lie: the script works in a folder beside that."""
    os.environ["TOWPATH_NEW"] = str(project)
    try:
        yield
    finally:
        del os.environ["TOWPATH_NEW"]


def own_requirement() -> str:
    """A requirement (PEP 508), or the whole path of a checkout that Towpath runs from."""
    try:
        return requirement_of(distribution("towpath"))
    except PackageNotFoundError:  # run from a checkout by PYTHONPATH
        return str(CHECKOUT)


def requirement_of(installed: Distribution) -> str:
    """The requirement that installs this distribution again, by its record of its origin."""
    origin = json.loads(installed.read_text("direct_url.json") or "{}")  # PEP 610
    if "url" not in origin:
        return f"towpath=={installed.version}"
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return f"towpath @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    if "dir_info" in origin:
        return str(Path(url2pathname(urlparse(origin["url"]).path)))
    return f"towpath @ {origin['url']}"
