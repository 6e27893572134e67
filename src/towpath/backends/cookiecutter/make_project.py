"""A project out of a template: the catalogue, the questions, and the whole of it or nothing."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from towpath.errors import Fault, UsageError, UserError, did_you_mean
from towpath.scratch import scratch_beside, scratch_folder, sweep_beside

PACKAGE = Path(__file__).resolve().parents[2]
CHECKOUT = PACKAGE.parent.parent
QUESTIONS = "cookiecutter.json"
RULES = "towpath_template"


@dataclass(frozen=True)
class ProjectTemplate:
    """A folder with a ``cookiecutter.json``: its name in the catalogue, and what it is for."""

    name: str
    folder: Path
    description: str


def catalogue() -> tuple[ProjectTemplate, ...]:
    shipped = PACKAGE / "templates"
    home = shipped if shipped.is_dir() else CHECKOUT / "templates"
    return tuple(_read_template(path.parent) for path in sorted(home.glob(f"*/{QUESTIONS}")))


def find_template(template: str) -> ProjectTemplate:
    """The template of this name, or in this folder. Raises UsageError where there is neither."""
    templates = {shipped.name: shipped for shipped in catalogue()}
    if template in templates:
        return templates[template]
    folder = Path(template).expanduser()
    if (folder / QUESTIONS).is_file():
        return _read_template(folder.resolve())
    listed = f"there are: {', '.join(templates)}; or give a folder"
    hint = did_you_mean(template, templates) or listed
    raise UsageError(Fault(f"no template `{template}`", hint=hint))


def _read_template(folder: Path) -> ProjectTemplate:
    questions = json.loads((folder / QUESTIONS).read_text(encoding="utf-8"))
    return ProjectTemplate(folder.name, folder, questions.get("_description", ""))


def answer_questions(folder: Path, preset: Mapping[str, str], ask: bool) -> dict[str, str]:
    """Every answer that the template needs, checked; asks only for what was not given. Raises
    UsageError with every fault: an unknown question, a choice that there is not, and what the
    template's own rules (``faults`` in its ``towpath_template.py``) say."""
    questions = json.loads((folder / QUESTIONS).read_text(encoding="utf-8"))
    wrong = list(_preset_faults(questions, preset))
    faults, refused = [fault for _, fault in wrong], {key for key, _ in wrong}
    sound = {key: value for key, value in preset.items() if key not in refused}
    with importing_from(folder):
        # Nobody is asked for the rest where the call is wrong already.
        answers = _collect_answers(questions, sound, ask and not wrong)
        if (folder / f"{RULES}.py").is_file():
            faults += map(Fault, importlib.import_module(RULES).faults(answers))
    if faults:
        raise UsageError(*faults)
    return answers


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Let cookiecutter import the template's extension, and forget it for the next template."""
    path, compiles = list(sys.path), sys.dont_write_bytecode
    sys.path.append(str(folder))
    sys.dont_write_bytecode = True  # a template's folder is not ours to write in
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = path, compiles
        sys.modules.pop(RULES, None)


def _preset_faults(
    questions: Mapping[str, Any], preset: Mapping[str, str]
) -> Iterator[tuple[str, Fault]]:
    public = [key for key in questions if not key.startswith("_")]
    for key in preset:
        if key not in public:
            hint = did_you_mean(key, public) or f"it asks for: {', '.join(public)}"
            yield key, Fault(f"the template does not ask for `{key}`", hint=hint)
    for key, value in preset.items():
        choices = questions.get(key)
        if isinstance(choices, list) and value not in choices:
            hint = did_you_mean(value, choices) or f"one of: {', '.join(choices)}"
            yield key, Fault(f"{key}: `{value}` is no choice", hint=hint)
        if "{{" in value or "{%" in value:  # cookiecutter would render it: an answer that runs code
            yield key, Fault(f"{key}: `{value}` has the braces of a template in it")


def _collect_answers(
    questions: dict[str, Any], preset: Mapping[str, str], ask: bool
) -> dict[str, str]:
    from cookiecutter import prompt
    from cookiecutter.utils import create_env_with_context

    environment = create_env_with_context({"cookiecutter": questions})
    prompts = questions.pop("__prompts__", {})
    answers: dict[str, str] = {}
    for key, raw in questions.items():
        if key in preset:
            answers[key] = preset[key]
        elif key.startswith("_"):  # a setting of cookiecutter's, and no question
            continue
        elif isinstance(raw, list):
            choose = prompt.prompt_choice_for_config
            answers[key] = choose(answers, environment, key, raw, not ask, prompts, "  ")
        else:
            answers[key] = prompt.render_variable(environment, raw, answers)
            if ask:
                answers[key] = prompt.read_user_variable(key, answers[key], prompts, "  ")
    return answers


class ProjectExistsError(UsageError):
    """The project's folder belongs to somebody else."""


def make_from_template(
    template: str, destination: Path, answers: Mapping[str, str], ask: bool
) -> Path:
    """Make a project in a new folder of ``destination``, named by the answer ``name``; a person is
    asked for the other answers if ``ask``. Raises UsageError for answers that will not do and for a
    folder that exists, which is left alone; whatever fails later leaves nothing behind."""
    chosen = find_template(template)
    asks_source = '"towpath":' in (chosen.folder / QUESTIONS).read_text(encoding="utf-8")
    known_answers = {"towpath": own_requirement(), **answers} if asks_source else answers
    complete = answer_questions(chosen.folder, known_answers, ask)
    project = destination.expanduser().resolve() / complete["name"]
    if project.exists() or project.is_symlink():
        hint = "give another name, or another folder"
        raise ProjectExistsError(Fault(f"{project} exists; nothing in it was changed", hint=hint))
    with _all_or_nothing(project) as scratch:
        _generate_project(chosen.folder, project, scratch, complete)
        _give_name(scratch / project.name, project)
    return project


@contextmanager
def _all_or_nothing(project: Path) -> Iterator[Path]:
    """A folder beside the project's place to make it in; what a killed process left goes."""
    scratch = scratch_beside(project)
    above = (project.parent, *project.parent.parents)  # the innermost first
    missing = list(takewhile(lambda folder: not folder.exists(), above))
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


def _give_name(folder: Path, project: Path) -> None:
    try:
        folder.rename(project)
    except OSError as error:  # another may have made one there in this very moment
        if not project.exists():
            raise
        raise ProjectExistsError(f"{project} exists; nothing in it was changed") from error


def _generate_project(
    template: Path, project: Path, into: Path, answers: Mapping[str, str]
) -> None:
    from cookiecutter.exceptions import CookiecutterException, FailedHookException
    from cookiecutter.main import cookiecutter

    logging.getLogger("cookiecutter").setLevel(logging.CRITICAL)  # it logs tracebacks of hooks
    with (
        scratch_folder() as folder,
        _temporary_files_in(folder),
        importing_from(template),
        _said_by_us(project),
    ):
        # So that nothing of this person's own cookiecutter is read or written.
        settings = folder / "settings.yaml"
        folders = {"cookiecutters_dir": str(folder), "replay_dir": str(folder)}
        settings.write_text(json.dumps(folders), encoding="utf-8")  # JSON is YAML
        try:
            cookiecutter(
                str(template), no_input=True, extra_context=dict(answers), output_dir=str(into),
                config_file=str(settings),
            )  # fmt: skip
        except FailedHookException as error:
            raise UserError("the project could not be finished; why stands above") from error
        except CookiecutterException as error:
            raise UserError(f"the template {template} is not sound: {error}") from error


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    # Cookiecutter writes the template's script there, with all answers in it, and leaves it.
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def _said_by_us(project: Path) -> Iterator[None]:
    # It tells the template's script that `towpath new` says what comes next, and where the project
    # will lie: the script works in a folder beside that.
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
