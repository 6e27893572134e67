"""What a repository lacks to be a project: files to make, and lines to add to those that are there.

Nothing that stands there is moved, changed or overwritten. Each file is written whole or not at
all, so that a second call completes what a killed one began.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from towpath.backends.git import git_command
from towpath.backends.git.git_command import attempt_git
from towpath.backends.git.repository import Repository
from towpath.config.project_declaration import FILE
from towpath.errors import UserError
from towpath.scratch import scratch_beside, sweep_beside

PIPELINE = "flows/training/pipeline.yaml"

EMPTY_PIPELINE = """\
# A pipeline: parameters, inputs and steps. To begin, write `steps:` without the braces:
#
#   params:
#     test_size: {default: 0.2, above: 0, below: 1}
#   inputs:
#     raw: data/raw.csv
#   steps:
#     prepare:                      # the function `prepare` of steps.py, beside this file
#       run: prepare
#       inputs: [raw]
#       params: [test_size]
#       outputs: [train.parquet, test.parquet]
#     fit:                          # a program of any language
#       kind: command
#       command: python scripts/fit.py {train} {model}
#       inputs: [prepare.train]
#       outputs: [model.skops]
#
# `towpath check` says what is wrong, `towpath plan` what would run, `towpath run` runs it.
# docs/pipeline.md has every key, `towpath schema` the schema for your editor.
steps: {}
"""

_PROJECT = """\
# The project: its name, and the stages that its models climb. docs/project.md has every key.
name: {name}

# In the order in which a version climbs them. A stage's store is a folder or an S3 URL; its
# credentials come from the environment, never from a file in Git:
#   prod:
#     store: {{url: s3://models-prod, profile: prod}}
stages: [dev, uat, prod]

# `.` keeps the registry in this repository; a Git URL names one that projects share.
registry: .
"""

_IGNORED = {
    "/.towpath/": ".towpath/state",
    "/artifacts/": "artifacts/training",
    "/prefect.toml": "prefect.toml",
}
"""The lines for .gitignore, each with a path that Git ignores once it has such a line."""

_ATTRIBUTES = {
    f"/{FILE} text eol=lf": FILE,
    "/flows/**/*.yaml text eol=lf": "flows/training/pipeline.yaml",
    "/registry/** text eol=lf": "registry/stages/dev/model.yaml",
    "/dvc.yaml text eol=lf": "dvc.yaml",
    "/dvc.lock text eol=lf": "dvc.lock",
    "*.dvc text eol=lf": "data/raw.csv.dvc",
}
"""The lines for .gitattributes, each with a path whose line ends Git knows from such a line."""

_LEFT_OUT = ".dvcignore"
_WHY = {
    _LEFT_OUT: "# What DVC leaves alone: https://dvc.org/doc/user-guide/project-structure/dvcignore-files",
    ".gitignore": "# What runs of Towpath leave behind; the bytes live in the store (.dvc/cache).",
    ".gitattributes": "# Towpath's and DVC's own files have the same bytes on every machine.",
}


class NewFile(Struct, frozen=True):
    """A file that is not there yet; its path is from the project's root. ``replaces``: what stands
    there is an empty pipeline that a call before this one made."""

    path: str
    text: str
    replaces: bool = False

    def describe_addition(self, would: bool) -> str:
        return f"{'would make' if would else 'made'} {self.path}"


class AddedLines(Struct, frozen=True):
    path: str
    lines: tuple[str, ...]

    def describe_addition(self, would: bool) -> str:
        shown = ", ".join(f"`{line}`" for line in self.lines if not line.startswith("#"))
        return f"{'would add' if would else 'added'} to {self.path}: {shown}"


Addition = NewFile | AddedLines


def find_root(folder: Path, named: bool) -> Path:
    """The folder that is to be a project, in a Git repository. One inside of a project is refused
    unless ``named``: the project is most likely meant."""
    root = folder.absolute()
    if not root.is_dir():
        raise UserError(f"there is no folder {folder}")
    repository = Repository.find_repository(root)
    if repository is None:
        hint = "a project is in a Git repository: `git init`, then again; or `towpath new blank`"
        raise UserError(f"{root} is not in a Git repository", hint=hint)
    if repository.bare:
        hint = f"`git -C {root} worktree add ../work`, and there again"
        raise UserError(f"{root} is a bare repository, which has no files", hint=hint)
    within = next((up for up in root.parents if (up / FILE).is_file()), None)
    if within and not named and not (root / FILE).exists():
        hint = "`towpath init .` makes a project of its own in this folder"
        raise UserError(f"this folder is in the project {within}", hint=hint)
    return root


def plan_additions(root: Path, store: Mapping[str, str]) -> tuple[Addition, ...]:
    additions: list[Addition] = []
    if not (root / FILE).exists():
        additions.append(NewFile(FILE, _PROJECT.format(name=project_name(root.name))))
    # `--no-index`: what is tracked already counts as ignored too, once a line says so.
    asks = ("check-ignore", "--quiet", "--no-index")
    lines = (line for line, path in _IGNORED.items() if attempt_git(root, *asks, path).code)
    additions += _missing_lines(root, ".gitignore", tuple(lines))
    additions += _missing_lines(root, ".gitattributes", tuple(_without_line_ends(root)))
    additions += [NewFile(path, text) for path, text in store.items() if path != _LEFT_OUT]
    additions += _missing_lines(root, _LEFT_OUT, (".towpath/",))
    if not any((root / "flows").glob("*/pipeline.yaml")):
        additions.append(NewFile(PIPELINE, EMPTY_PIPELINE))
    return tuple(additions)


def project_name(folder: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder).strip("-_")
    is_text = re.search("[A-Za-z]", name) and name.lower() not in _NO_TEXT
    return name if is_text else f"project-{name}".rstrip("-")


_NO_TEXT = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def _without_line_ends(root: Path) -> Iterator[str]:
    # Only for paths of which no attributes say how their lines end: somebody's choice stays.
    paths = dict.fromkeys(_ATTRIBUTES.values())
    # -z: path, attribute and value in turn, which no name can break.
    answer = git_command.call_git(root, "check-attr", "-z", "text", "eol", "--", *paths)
    triples = zip(*[iter(answer.text.split("\0"))] * 3, strict=False)
    declared_paths = {path for path, _, value in triples if value != "unspecified"}
    yield from (line for line, path in _ATTRIBUTES.items() if path not in declared_paths)


def _missing_lines(root: Path, file: str, needed: tuple[str, ...]) -> Iterator[Addition]:
    path = root / file
    content = path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""
    existing = set(content.splitlines())
    # People write the same line with a slash before it, behind it, or with neither.
    spellings = {line: {line, f"/{line}", f"/{line}".rstrip("/")} for line in needed}
    missing = tuple(line for line, alike in spellings.items() if not existing & alike)
    if not missing:
        return
    lines = missing if _WHY[file] in existing else (_WHY[file], *missing)
    if path.exists():
        yield AddedLines(file, lines)
    else:
        yield NewFile(file, "\n".join(lines) + "\n")


def apply_additions(root: Path, additions: tuple[Addition, ...]) -> None:
    """Write what is lacking; UserError where a file cannot be written."""
    for addition in additions:
        path = root / addition.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep_beside(path.parent)  # what a call that was killed left of itself
            if isinstance(addition, NewFile):
                _make_file(path, addition.text.encode(), addition.replaces)
            else:
                _append_lines(path, addition.lines)
        except OSError as error:
            hint = "what was written before it stays; `towpath init` again completes it"
            words = f"{addition.path} cannot be written: {error.strerror or error}"
            raise UserError(words, hint=hint) from error


def _make_file(path: Path, content: bytes, replaces: bool) -> None:
    scratch = scratch_beside(path)
    try:
        scratch.write_bytes(content)
        if replaces:
            scratch.replace(path)
        else:
            os.link(scratch, path)  # unlike a rename it never replaces what came there meanwhile
    finally:
        scratch.unlink(missing_ok=True)


def _append_lines(path: Path, lines: tuple[str, ...]) -> None:
    content = path.read_bytes()
    end = b"\r\n" if b"\r\n" in content else b"\n"
    if content and not content.endswith(b"\n"):
        content += end
    added = b"".join(line.encode() + end for line in lines)
    target = path.resolve()  # a symbolic link stays one
    scratch = scratch_beside(target)
    try:
        scratch.write_bytes(content + (end if content else b"") + added)
        # It takes the rights of the file that it replaces, such as a group's to write it.
        scratch.chmod(target.stat().st_mode & 0o777)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def next_commands(project: Path, folder: Path) -> tuple[str, ...]:
    """The commands, in order, from ``folder``: the first commit too if it still waits."""
    way = project.relative_to(folder) if project.is_relative_to(folder) else project
    pipelines = [path.read_text(encoding="utf-8") for path in project.glob("flows/*/pipeline.yaml")]
    first = "run" if pipelines and EMPTY_PIPELINE not in pipelines else "check"
    begin = (f"towpath {first}", "towpath models")
    commit: tuple[str, ...] = (f"git commit -m 'Start {project.name}'",)
    repository = Repository.find_repository(project)
    if repository is None or (repository.head() and repository.root == project):
        commit = ()
    elif repository.root != project:  # a folder of somebody's, who decides what goes in
        commit = ("git add .", *commit)
    return (f"cd {shlex.quote(str(way))}", *commit, *begin)
