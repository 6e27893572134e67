"""Paths that a stranger may have written: what they may say, and where they may lead.

``ProjectPath`` judges the text alone. ``resolve_inside`` looks at the disk too, for a folder of
the project may be a link, which Git carries like any other file.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from towpath.errors import Malformed
from towpath.spec.digests import describe

RESERVED = frozenset([".git", ".dvc", ".towpath"])
"""Folders that decide what runs and what is believed: Git's, DVC's and ours."""

_GIT_BY_ANOTHER_NAME = re.compile(r"git~[0-9]+")
_LONGEST = 4096


class ProjectPath(str):
    """A path below a folder, with ``/`` between its parts, in its shortest form.

    It is neither absolute nor leads out by ``..``, has no control character, and no part of it is
    a reserved folder's name, in any case: the file system of macOS and of Windows takes ``.GIT``
    for ``.git``.
    """

    __slots__ = ()

    def __new__(cls, value: object) -> ProjectPath:
        return str.__new__(cls, _judged(value))


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
    joined = os.path.normpath(f"{folder or '.'}/{path}")
    return ProjectPath(joined)


def resolve_inside(root: Path, path: ProjectPath | str) -> Path:
    """Where a path lies on the disk, every link above it followed.

    Its last part is not followed: what is written there takes a link's place. Raises
    ``Malformed`` where a link leads out of the root, or into a reserved folder of it.
    """
    home = Path(os.path.realpath(root))
    whole = Path(root, ProjectPath(path))
    real = Path(os.path.realpath(whole.parent)) / whole.name
    if not real.is_relative_to(home):
        raise Malformed(f"{describe(path)} leads out of the project, through a link")
    try:
        ProjectPath(real.relative_to(home).as_posix())
    except Malformed as reserved:
        raise Malformed(f"{describe(path)} leads elsewhere: {reserved.faults[0].what}") from None
    return real


def require_name(value: object) -> str:
    """The same text; ``Malformed`` where it cannot be the name of a file."""
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value:
        raise Malformed(f"{describe(value)} is no name of a file")
    _refuse_unprintable(value)
    return value


def is_reserved(part: str) -> bool:
    """Whether some file system takes a name for that of a reserved folder.

    HFS+ leaves out characters that cannot be seen, Windows blanks and dots at the end, and both
    the difference of large and small letters; FAT knows ``.git`` as ``git~1`` too.
    """
    if part.isascii() and part.islower() and part[-1] not in ". ":  # nearly all names
        return part in RESERVED or _GIT_BY_ANOTHER_NAME.fullmatch(part) is not None
    seen = "".join(c for c in part if unicodedata.category(c) != "Cf")
    plain = unicodedata.normalize("NFKC", seen).casefold().partition(":")[0].rstrip(". ")
    return plain in RESERVED or _GIT_BY_ANOTHER_NAME.fullmatch(plain) is not None


def _judged(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise Malformed(f"{describe(value)} is no path")
    _refuse_unprintable(value)
    if value.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", value):
        raise Malformed(f"{describe(value)} is an absolute path")
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if ".." in parts or ".." in value.split("\\"):
        raise Malformed(f"{describe(value)} leads out of its folder")
    if not parts:
        raise Malformed(f"{describe(value)} is the folder itself")
    for part in parts:
        if is_reserved(part):
            raise Malformed(f"{describe(value)} leads into {describe(part)}, which no data may")
    return "/".join(parts)


def _refuse_unprintable(text: str) -> None:
    """Control characters and lone surrogates: a NUL ends a path early, a line's end forges a line,
    and half a character cannot be written anywhere."""
    if text.isprintable():
        return
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp"):
            raise Malformed(f"{describe(text)} holds a control character")
