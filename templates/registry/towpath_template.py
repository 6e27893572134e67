"""What answers will do, for cookiecutter (as a Jinja extension) and for `towpath new`.

Plain Python: a stranger's cookiecutter has nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment
from jinja2.ext import Extension

FOLDER = Path(__file__).resolve().parent
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
REQUIREMENT = re.compile(r"towpath(\[[a-z0-9, ]+\])?\s*([=<>!~@].*)?", re.DOTALL)
FORGES = {
    "gh:": "https://github.com/",
    "gl:": "https://gitlab.com/",
    "bb:": "https://bitbucket.org/",
}


def faults(answers: Mapping[str, str]) -> list[str]:
    """What is wrong with the answers, all of it, in words for the person who gave them."""
    rules = (_name, _registry, _store, _forge, _source)
    return [fault for rule in rules if (fault := rule(answers))]


def _name(answers: Mapping[str, str]) -> str | None:
    if NAME.fullmatch(answers["name"]) and len(answers["name"]) <= 64:
        return None
    return (
        f"name: `{answers['name']}` will not do: lower case letters, digits and single hyphens, "
        "beginning with a letter, at most 64"
    )


def _registry(answers: Mapping[str, str]) -> str | None:
    registry = answers.get("registry", ".")
    if registry == "." or is_git_address(registry) or Path(registry).is_absolute():
        return None
    return f"registry: `{registry}` is neither `.` (in the project) nor a Git URL"


def _store(answers: Mapping[str, str]) -> str | None:
    store = answers.get("store", "")
    address = Path(store).is_absolute() or bool(re.match(r"[a-z0-9]+://.", store))
    if not store or (address and not re.search(r"[\n\"']", store)):
        return None
    return f"store: `{store}` is neither the whole path of a folder nor a URL"


def _forge(answers: Mapping[str, str]) -> str | None:
    if answers["forge"] == "none" and not answers["repository"]:
        return None
    if answers["forge"] == "none":
        return f"repository: `{answers['repository']}` needs forge: github"
    if REPOSITORY.fullmatch(answers["repository"]):
        return None
    return f"repository: `{answers['repository']}` is not owner/name, which forge: github needs"


def _source(answers: Mapping[str, str]) -> str | None:
    source = answers["towpath"]
    if '"' in source or "\n" in source:
        return "towpath: a quotation mark or a line break cannot stand in a requirement"
    if source == "auto" or is_git_address(source) or REQUIREMENT.fullmatch(source):
        return None
    if is_python_project(Path(source).expanduser()):
        return None
    return (
        f"towpath: `{source}` is not a requirement (towpath==1.0), a Git URL, "
        "or the whole path of a folder that holds Towpath"
    )


def is_git_address(text: str) -> bool:
    """Whether Git would clone this: https, ssh, file, scp's short form, or cookiecutter's."""
    return "://" in text or bool(re.match(r"[\w.-]+@[\w.-]+:", text)) or text[:3] in FORGES


def is_python_project(folder: Path) -> bool:
    """Whether pip could install this folder; a relative path would mean different things later."""
    return folder.is_absolute() and (folder / "pyproject.toml").is_file()


def requirement(source: str, answers: Mapping[str, str | None]) -> str:
    """The line for pyproject.toml from which pip and uv install Towpath."""
    if source == "auto":
        return _where_this_came_from(str(answers.get("_template")), answers.get("_checkout"))
    if REQUIREMENT.fullmatch(source):
        return source
    if is_git_address(source):
        return f"towpath @ {_git_url(source)}"
    return f"towpath @ {Path(source).expanduser().as_uri()}"


def _where_this_came_from(template: str, checkout: str | None) -> str:
    if is_git_address(template):
        return f"towpath @ {_git_url(template)}" + (f"@{checkout}" if checkout else "")
    home = FOLDER.parent.parent
    is_checkout = (home / "src" / "towpath").is_dir() and is_python_project(home)
    return f"towpath @ {home.as_uri()}" if is_checkout else "towpath"


def _git_url(address: str) -> str:
    if address.startswith(("git+", "file:")) and not address.endswith(".git"):
        return address
    for short, host in FORGES.items():
        if address.startswith(short):
            return f"git+{host}{address[len(short) :]}.git"
    if "://" not in address:
        return "git+ssh://" + address.replace(":", "/", 1)
    return address if address.startswith("git+") else f"git+{address}"


class Source(Extension):
    """Gives the templates `requirement`, and the hooks the folder that they stand in."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["requirement"] = requirement
        environment.globals["template_folder"] = str(FOLDER)
