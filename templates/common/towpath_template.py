"""What answers will do, for cookiecutter (as a Jinja extension) and for `towpath new`.

Plain Python: a stranger's cookiecutter has nothing else.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment
from jinja2.ext import Extension

FOLDER = Path(__file__).absolute().parent  # of the template, which links to this file
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NO_TEXT = {"null", "true", "false", "yes", "no", "on", "off"}  # to readers of YAML
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S.*|[\w.-]+@[\w.-]+:\S.*")
SHORT = re.compile(r"(gh:|gl:|bb:)([^\s/]+(?:/[^\s/]+)+)")
FORGES = {
    "gh:": "https://github.com/",
    "gl:": "https://gitlab.com/",
    "bb:": "https://bitbucket.org/",
}
VERSION = r"([0-9]+!)?[0-9]+(\.[0-9]+)*(\.?(a|b|rc|post|dev)[0-9]+)*(\+[a-z0-9.]+)?(\.\*)?"
RELEASE = rf"\s*(===?|~=|!=|<=?|>=?)\s*{VERSION}"
REQUIREMENT = re.compile(
    rf"towpath(\[[a-z0-9, ]+\])?({RELEASE}(\s*,{RELEASE})*|\s*@\s*[a-z][a-z0-9+.-]*://\S+)?"
)
PLAIN = re.compile(r"[A-Za-z./]([\w./@:+~%=-]*[\w/])?")  # means itself without quotes
UNFIT = "quotation marks, line breaks and other control characters cannot stand in it"


def faults(answers: Mapping[str, str]) -> list[str]:
    """What is wrong with the answers, all of it, in words for the person who gave them."""
    rules = (_name, _registry, _store, _forge, _source)
    return [fault for rule in rules if (fault := rule(answers))]


def _name(answers: Mapping[str, str]) -> str | None:
    name = answers["name"]
    if name in NO_TEXT:
        return f"name: `{name}` will not do: where a name stands, YAML reads something else"
    if NAME.fullmatch(name) and len(name) <= 64:
        return None
    return (
        f"name: `{name}` will not do: lower case letters, digits and single hyphens, "
        "beginning with a letter, at most 64"
    )


def _registry(answers: Mapping[str, str]) -> str | None:
    registry = answers.get("registry", ".")
    if is_unfit(registry):
        return f"registry: {UNFIT}"
    if short := SHORT.fullmatch(registry):
        url = _in_full(short)
        return f"registry: Git does not know the short form `{registry}`: write {url}"
    if registry == "." or ADDRESS.fullmatch(registry) or Path(registry).is_absolute():
        return None
    return f"registry: `{registry}` is neither `.` (in the project) nor a Git URL"


def _store(answers: Mapping[str, str]) -> str | None:
    store = answers.get("store", "")
    if is_unfit(store):
        return f"store: {UNFIT}"
    if not store or Path(store).is_absolute() or re.match(r"[a-z0-9]+://.", store):
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
    if is_python_project(_folder(source)):
        return None
    if is_unfit(source):
        return f"towpath: {UNFIT}"
    address = is_git_address(source) and " " not in source
    if source == "auto" or address or REQUIREMENT.fullmatch(source):
        return None
    return (
        f"towpath: `{source}` is not a requirement (towpath==1.0), a Git URL, "
        "or the whole path of a folder that holds Towpath"
    )


def is_unfit(text: str) -> bool:
    """Whether a line of a file could not hold this, however it is quoted there."""
    return not text.isprintable() or any(mark in text for mark in "\"'")


def is_git_address(text: str) -> bool:
    """Whether Git would clone this: https, ssh, file, scp's short form, or cookiecutter's."""
    return bool(ADDRESS.fullmatch(text) or SHORT.fullmatch(text))


def _folder(text: str) -> Path:
    with suppress(RuntimeError):  # `~name`, and nobody has that name
        return Path(text).expanduser()
    return Path(text)


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
    return f"towpath @ {_folder(source).as_uri()}"


def _where_this_came_from(template: str, checkout: str | None) -> str:
    if is_git_address(template):
        return f"towpath @ {_git_url(template)}" + (f"@{checkout}" if checkout else "")
    home = FOLDER.parent.parent
    is_checkout = (home / "src" / "towpath").is_dir() and is_python_project(home)
    return f"towpath @ {home.as_uri()}" if is_checkout else "towpath"


def _git_url(address: str) -> str:
    if address.startswith(("git+", "file:")) and not address.endswith(".git"):
        return address
    if short := SHORT.fullmatch(address):
        return f"git+{_in_full(short)}"
    if "://" not in address:
        return "git+ssh://" + address.replace(":", "/", 1)
    return address if address.startswith("git+") else f"git+{address}"


def _in_full(short: re.Match[str]) -> str:
    return f"{FORGES[short[1]]}{short[2].removesuffix('.git')}.git"


def in_yaml(text: str) -> str:
    """A value of towpath.yaml: in quotes where YAML would take it for something else."""
    return text if PLAIN.fullmatch(text) else in_toml(text)


def in_toml(text: str) -> str:
    """A value of pyproject.toml. Jinja's own `tojson` would write `<` and `>` as numbers."""
    return json.dumps(text, ensure_ascii=False)


def in_dvc(text: str) -> str:
    """A value of .dvc/config, whose quotes know no escapes."""
    return text if PLAIN.fullmatch(text) else f'"{text}"'


class Source(Extension):
    """Gives the templates `requirement` and quotes, and the hooks the folder they stand in."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["requirement"] = requirement
        environment.filters["in_yaml"] = in_yaml
        environment.filters["in_toml"] = in_toml
        environment.filters["in_dvc"] = in_dvc
        environment.filters["in_shell"] = shlex.quote
        environment.globals["template_folder"] = str(FOLDER)
