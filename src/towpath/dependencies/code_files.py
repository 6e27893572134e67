"""The files and folders that a step adds to its code: ``code: [fit.R, sql/, "scripts/*.sh"]``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from towpath.dependencies.code_digest import digest_bytes, digest_text
from towpath.dependencies.module_source import read_code
from towpath.errors import DeclarationError, Fault, did_you_mean

_SKIPPED = frozenset({"__pycache__", ".git", ".dvc", ".towpath"})


def digest_named(root: Path, folder: str, extra: Iterable[str]) -> dict[str, str]:
    """A digest of bytes for each; beside the pipeline first, else from the project's root.

    What matches nothing is a fault, all of them at once.
    """
    digests: dict[str, str] = {}
    faults: list[Fault] = []
    for pattern in extra:
        files = _find_files(root, folder, pattern)
        if not files:
            faults.append(_missing_fault(root, folder, pattern))
        else:
            digests[pattern] = _digest_files(root, files)
    if faults:
        raise DeclarationError(*faults)
    return digests


def list_named(root: Path, folder: str, extra: Iterable[str]) -> tuple[str, ...]:
    """The files meant, from the root; what matches nothing is left out."""
    files = (file for pattern in extra for file in _find_files(root, folder, pattern))
    return tuple(file.relative_to(root).as_posix() for file in files)


def _find_files(root: Path, folder: str, pattern: str) -> list[Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        what = f"`code: {pattern}` leads out of the project"
        raise DeclarationError(Fault(what, hint="name it from the project's root"))
    for start in (root / folder, root):
        files = [file for path in _match_pattern(start, pattern) for file in _files_below(path)]
        if files:
            return sorted(set(files))
    return []


def _match_pattern(start: Path, pattern: str) -> Iterable[Path]:
    if any(sign in pattern for sign in "*?["):
        return start.glob(pattern)
    path = start / pattern
    return [path] if path.exists() else []


def _files_below(path: Path) -> Iterable[Path]:
    if path.is_file():
        yield path
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        yield from (Path(folder, name) for name in files)


def _digest_files(root: Path, files: list[Path]) -> str:
    """One file's bytes; of several also their names."""
    digests = [(f.relative_to(root).as_posix(), digest_bytes(read_code(f, str(f)))) for f in files]
    if len(digests) == 1:
        return digests[0][1]
    return digest_text("\n".join(f"{digest} {name}" for name, digest in digests))


def _missing_fault(root: Path, folder: str, pattern: str) -> Fault:
    parents = [
        parent for start in (root / folder, root) if (parent := (start / pattern).parent).is_dir()
    ]
    near = did_you_mean(
        Path(pattern).name, [sibling.name for p in parents for sibling in p.iterdir()]
    )
    hint = near or "name it beside pipeline.yaml or from the root"
    return Fault(f"`code: {pattern}` matches no file", hint=hint)
