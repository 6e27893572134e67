"""The samples that a policy's golden gates hold every version against, as a commit has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.backends.git import large_files, refs
from towpath.config.gate_declarations import Golden
from towpath.delivery.gates.gate_context import policy_file_path, read_policy_file
from towpath.delivery.gates.verdict import Unjudged
from towpath.errors import TowpathError
from towpath.quantities import readable_size

if TYPE_CHECKING:
    from towpath.backends.git import Repository
    from towpath.config.project_declaration import Project

MOST_SAMPLES = 1 << 20  # bytes of a file of samples that are read to be shown


class GoldenSamples(Struct, frozen=True):
    """A golden gate and the bytes of its samples; ``missing`` says why they cannot be shown, and is
    "" where they can."""

    stage: str
    gate: str
    declared: Golden
    content: bytes
    missing: str


def read_golden_samples(
    repository: Repository, base: str, folder: str, project: Project
) -> Iterator[GoldenSamples]:
    """Those of all stages that ``project`` declares, from the commit ``base``, where ``folder`` is
    the project's."""
    for stage, declared in project.stages.items():
        for name, gate in declared.gates.items():
            if isinstance(gate, Golden):
                content, missing = _attempt_samples(repository, base, folder, gate.samples)
                yield GoldenSamples(stage, name, gate, content, missing)


def _attempt_samples(
    repository: Repository, base: str, folder: str, path: str
) -> tuple[bytes, str]:
    """The bytes, or a word of why they are not shown."""
    try:
        size = _measure_samples(repository, base, policy_file_path(folder, path))
        if size > MOST_SAMPLES:
            return b"", f"{path} is too large to be shown here ({readable_size(size)})"
        return read_policy_file(repository, base, folder, path), ""
    except Unjudged as unjudged:
        return b"", str(unjudged)
    except TowpathError as away:
        return b"", away.faults[0].what


def _measure_samples(repository: Repository, base: str, place: str) -> int:
    """Bytes, before they are read: of a pointer those that it stands for; 0 for no file at all."""
    measured = repository.attempt_git("cat-file", "-s", f"{base}:{place}")
    size = int(measured.text) if measured.code == 0 else 0
    if 0 < size < MOST_SAMPLES:
        return large_files.pointed_size(refs.read_content(repository, base, place) or b"") or size
    return size
