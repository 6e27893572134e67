"""Paths that a stranger may have written: what they may say, and where they may lead.

``ProjectPath`` judges the text alone. ``resolve_inside`` looks at the disk too, for a folder of
the project may be a link, which Git carries like any other file.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from towpath.config.foreign_values import describe_value
from towpath.errors import Malformed

RESERVED = frozenset([".git", ".dvc", ".towpath"])
"""Folders that decide what runs and what is believed: Git's, DVC's and ours."""

OBEYED = frozenset(
    {
        *("towpath.yaml", "dvc.yaml", "dvc.lock", "prefect.toml", "prefect.yaml"),
        *("pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini", "mypy.ini", "ruff.toml"),
        *("uv.toml", "uv.lock", "poetry.lock", "requirements.txt", "constraints.txt"),
        *("makefile", "gnumakefile", "justfile", "dockerfile", "compose.yaml", "compose.yml"),
        *("docker-compose.yml", "docker-compose.yaml", "environment.yml", "package.json"),
        *("codeowners", "venv", "azure-pipelines.yml", "bitbucket-pipelines.yml"),
    }
)
"""What Git, Python, Prefect, DVC, Towpath or a forge obeys at the root of a project, beside all
that begins with a dot there."""
_OF_GIT = frozenset({".gitmodules", ".gitattributes", ".gitignore", ".lfsconfig", ".dvcignore"})
"""What Git and DVC obey in any folder."""
_DECISIONS = frozenset({"stages", "models", "evidence", "notes", "allowed_signers"})
"""What in ``registry/`` decides."""
_CODE_PLACES = frozenset({"src", "flows", "tests"})
_CODE = (".py", ".pyc", ".pth", ".so", ".pyd")
_GIT_BY_ANOTHER_NAME = re.compile(r"git~[0-9]+")
_LONGEST = 4096  # Linux takes no longer path


class ProjectPath(str):
    """A path below a folder, with ``/`` between its parts, in its shortest form.

    It is neither absolute nor leads out by ``..``, has no control character, and no part of it is
    a reserved folder's name, in any case: the file system of macOS and of Windows takes ``.GIT``
    for ``.git``.
    """

    __slots__ = ()

    def __new__(cls, value: object) -> ProjectPath:
        return str.__new__(cls, _judge_path(value))


class DataPath(ProjectPath):
    """A path where data may lie: no file that a tool obeys.

    Who pushes a pointer would else write, behind a digest that nobody reads in a review, what
    Git, Python, Prefect or Towpath itself acts upon with the next command.
    """

    __slots__ = ()

    def __new__(cls, value: object) -> DataPath:
        path = ProjectPath(value)
        if why := _why_obeyed(path):
            raise Malformed(f"{describe_value(path)} is {why}, and no data")
        return str.__new__(cls, path)


class FileName(str):
    """The name of one file or folder: no path, no control character."""

    __slots__ = ()

    def __new__(cls, value: object) -> FileName:
        return str.__new__(cls, require_name(value))


def join_inside(folder: str, path: object) -> ProjectPath:
    """``path`` as it is written in ``folder`` (both from the root); ``..`` may lead up to the root.

    Raises ``Malformed`` where it leads elsewhere.
    """
    if not isinstance(path, str) or path.startswith("/"):
        return ProjectPath(path)  # raises
    _refuse_unprintable(path)
    return ProjectPath(os.path.normpath(f"{folder or '.'}/{path}"))


def resolve_inside(root: Path, path: ProjectPath | str) -> Path:
    """Where a path lies on the disk, every link above it followed.

    Its last part is not followed: what is written there takes a link's place. Raises
    ``Malformed`` where a link leads out of the root, or into a reserved folder of it.
    """
    # Not `Path.resolve`, which on a loop of links raises where this gives back the path.
    home = Path(os.path.realpath(root))
    whole = Path(root, ProjectPath(path))
    real = Path(os.path.realpath(whole.parent)) / whole.name
    if not real.is_relative_to(home):
        raise Malformed(f"{describe_value(path)} leads out of the project, through a link")
    try:
        ProjectPath(real.relative_to(home).as_posix())
    except Malformed as reserved:
        what = reserved.faults[0].what
        raise Malformed(f"{describe_value(path)} leads elsewhere: {what}") from None
    return real


def require_name(value: object) -> str:
    """The same text; ``Malformed`` where it cannot be the name of a file."""
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value:
        raise Malformed(f"{describe_value(value)} is no name of a file")
    _refuse_unprintable(value)
    return value


def refuse_code(path: ProjectPath) -> None:
    """Raise ``Malformed`` for a file that Python would import from a project: at its root, and in
    the folders of code. In other folders code is data like any other."""
    parts = _plain_parts(path)
    places = parts[0] in _CODE_PLACES or len(parts) == 1
    if places and parts[-1].endswith(_CODE):
        raise Malformed(f"{describe_value(path)} is code, which Git holds, and no data")
    if parts[0] == "flows" and parts[-1].endswith((".yaml", ".yml")):
        raise Malformed(f"{describe_value(path)} is a declaration, which Git holds, and no data")


def is_place_of_code(path: str) -> bool:
    """Whether a folder is one of those that Python imports a project's code from."""
    return _plain_parts(path)[0] in _CODE_PLACES


def _why_obeyed(path: str) -> str | None:
    """What a path is, where some tool obeys it."""
    parts = _plain_parts(path)
    if parts[0] in OBEYED or parts[0].startswith("."):
        return f"where tools find their settings ({describe_value(path.partition('/')[0])})"
    if parts[-1] in _OF_GIT:
        return "a setting of Git or DVC"
    if parts[0] == "registry" and len(parts) > 1 and parts[1] in _DECISIONS:
        return "where the registry keeps what was decided"
    return None


def _plain_parts(path: str) -> list[str]:
    """The parts of a path as the file system of macOS or Windows takes them."""
    return [_as_some_system_sees(part) for part in path.split("/")]


def is_reserved(part: str) -> bool:
    """Whether some file system takes a name for that of a reserved folder.

    HFS+ leaves out characters that cannot be seen, Windows blanks and dots at the end, and both
    the difference of large and small letters; FAT knows ``.git`` as ``git~1`` too.
    """
    if part.isascii() and part.islower() and part[-1] not in ". ":  # nearly all names
        return part in RESERVED or _GIT_BY_ANOTHER_NAME.fullmatch(part) is not None
    plain = _as_some_system_sees(part)
    return plain in RESERVED or _GIT_BY_ANOTHER_NAME.fullmatch(plain) is not None


def _as_some_system_sees(part: str) -> str:
    visible = "".join(c for c in part if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", visible).casefold().partition(":")[0].rstrip(". ")


def _judge_path(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise Malformed(f"{describe_value(value)} is no path")
    _refuse_unprintable(value)
    if value.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", value):
        raise Malformed(f"{describe_value(value)} is an absolute path")
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if ".." in parts or ".." in value.split("\\"):
        raise Malformed(f"{describe_value(value)} leads out of its folder")
    if not parts:
        raise Malformed(f"{describe_value(value)} is the folder itself")
    for part in parts:
        if is_reserved(part):
            where = f"{describe_value(value)} leads into {describe_value(part)}"
            raise Malformed(f"{where}, which no data may")
    return "/".join(parts)


def _refuse_unprintable(text: str) -> None:
    if text.isprintable():
        return
    # A NUL ends a path early, a line's end forges a line of Git's or of ours, and half a character
    # (`Cs`) cannot be written anywhere. Other signs that are not printable are names of people's.
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp"):
            raise Malformed(f"{describe_value(text)} holds a control character")
