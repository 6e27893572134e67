"""The templates that come with Towpath, and any other folder that cookiecutter would take."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

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
