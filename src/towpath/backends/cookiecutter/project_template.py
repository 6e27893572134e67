"""Templates, those that come with Towpath and other folders, and the answers to their questions."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.errors import Fault, UsageError, did_you_mean

PACKAGE = Path(__file__).resolve().parents[2]
CHECKOUT = PACKAGE.parent.parent
QUESTIONS = "cookiecutter.json"


@dataclass(frozen=True)
class ProjectTemplate:
    """A folder with a ``cookiecutter.json``: its name in the catalogue, and what it is for."""

    name: str
    folder: Path
    description: str


def catalogue() -> tuple[ProjectTemplate, ...]:
    """The templates of this installation, by name: the wheel's, or those of its checkout."""
    shipped = PACKAGE / "templates"
    home = shipped if shipped.is_dir() else CHECKOUT / "templates"
    return tuple(
        _read_template(questions.parent) for questions in sorted(home.glob(f"*/{QUESTIONS}"))
    )


def find_template(template: str) -> ProjectTemplate:
    """The template of this name, or in this folder. Raises UsageError where there is neither."""
    templates = {shipped.name: shipped for shipped in catalogue()}
    if template in templates:
        return templates[template]
    folder = Path(template).expanduser()
    if (folder / QUESTIONS).is_file():
        return _read_template(folder.resolve())
    hint = (
        did_you_mean(template, templates) or f"there are: {', '.join(templates)}; or give a folder"
    )
    raise UsageError(Fault(f"no template `{template}`", hint=hint))


def _read_template(folder: Path) -> ProjectTemplate:
    questions = json.loads((folder / QUESTIONS).read_text(encoding="utf-8"))
    return ProjectTemplate(folder.name, folder, questions.get("_description", ""))


RULES = "towpath_template"


def answer_questions(folder: Path, preset: Mapping[str, str], ask: bool) -> dict[str, str]:
    """Every answer that the template needs, checked; asks only for what was not given.

    Raises UsageError with every fault: an unknown question, a choice that there is not, and
    what the template's own rules (``faults`` in its ``towpath_template.py``) say.
    """
    questions = json.loads((folder / QUESTIONS).read_text(encoding="utf-8"))
    wrong = [*_unknown_answers(questions, preset), *_impossible_answers(questions, preset)]
    refused = {key for key, _ in wrong}
    sound = {key: value for key, value in preset.items() if key not in refused}
    with importing_from(folder):
        answers = _collect_answers(questions, sound, ask and not wrong)
        faults = [fault for _, fault in wrong] + [
            Fault(message) for message in _template_faults(folder, answers)
        ]
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


def _unknown_answers(
    questions: Mapping[str, Any], preset: Mapping[str, str]
) -> Iterator[tuple[str, Fault]]:
    public = [key for key in questions if not key.startswith("_")]
    for key in preset:
        if key not in public:
            hint = did_you_mean(key, public) or f"it asks for: {', '.join(public)}"
            yield key, Fault(f"the template does not ask for `{key}`", hint=hint)


def _impossible_answers(
    questions: Mapping[str, Any], preset: Mapping[str, str]
) -> Iterator[tuple[str, Fault]]:
    for key, value in preset.items():
        choices = questions.get(key)
        if isinstance(choices, list) and value not in choices:
            hint = did_you_mean(value, choices) or f"one of: {', '.join(choices)}"
            yield key, Fault(f"{key}: `{value}` is no choice", hint=hint)
        if "{{" in value or "{%" in value:
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
        elif isinstance(raw, list):
            answers[key] = prompt.prompt_choice_for_config(
                answers, environment, key, raw, not ask, prompts, "  "
            )
        elif not key.startswith("_"):
            default = prompt.render_variable(environment, raw, answers)
            answers[key] = (
                prompt.read_user_variable(key, default, prompts, "  ") if ask else default
            )
    return answers


def _template_faults(folder: Path, answers: Mapping[str, str]) -> list[str]:
    if not (folder / f"{RULES}.py").is_file():
        return []
    return list(importlib.import_module(RULES).faults(answers))
