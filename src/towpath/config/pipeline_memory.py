"""What pipelines' files declare, kept by who reads them again and again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from towpath.config.pipeline_file import DeclaredPipeline, read_pipeline

_MOST_KEPT = 2000
_SETTLED = 2.0  # seconds: what was written just now may be written again at the same time


class _KeptPipeline(Struct, frozen=True):
    signs: tuple[object, ...]
    declared: DeclaredPipeline


class PipelineFileMemory(Struct):
    """The declarations of pipelines by their files' times and sizes."""

    _kept: dict[Path, _KeptPipeline] = field(default_factory=dict)

    def read_pipeline_file(
        self, path: Path, root: Path, project_formats: Mapping[str, str]
    ) -> DeclaredPipeline:
        """As ``read_pipeline`` gives it. One with faults is read each time: what its text names
        may be in any file."""
        kept = self._kept.get(path)
        if kept and kept.signs == _sign_declaration(kept.declared, path, root, project_formats):
            return kept.declared
        self._kept.pop(path, None)
        before = _sign_file(path)
        declared = read_pipeline(path, root, project_formats)
        signs = _sign_declaration(declared, path, root, project_formats)
        newest = max((sign[0] for sign in signs[1:] if isinstance(sign, tuple)), default=0)
        is_settled = signs[1] == before and time.time_ns() - newest > _SETTLED * 1e9
        if is_settled and not declared.faults:
            self._kept[path] = _KeptPipeline(signs, declared)
            for oldest in list(self._kept)[:-_MOST_KEPT]:
                self._kept.pop(oldest, None)
        return declared


def _sign_declaration(
    declared: DeclaredPipeline, path: Path, root: Path, project_formats: Mapping[str, str]
) -> tuple[object, ...]:
    files = [path, *([root / declared.param_file] if declared.param_file else [])]
    return (dict(project_formats), *map(_sign_file, files))


def _sign_file(path: Path) -> tuple[int, int, int]:
    """What tells that a file was written anew: when, how long it is, and which one it is."""
    try:
        status = os.stat(path)  # noqa: PTH116 (of five hundred files at each request)
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
