"""The gates of a project held against its files, before a promotion meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from towpath import documents
from towpath.backends import great_expectations
from towpath.backends.dvc.tracked_files import pointer_path
from towpath.backends.git import large_files
from towpath.config import gate_declarations as declared
from towpath.config.declaration import Places
from towpath.dependencies import CodeReader
from towpath.errors import Fault, Place, TowpathError
from towpath.registry.policy_at_commit import FILE

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project


def gate_faults(root: Path, project: Project) -> tuple[Fault, ...]:
    """What is wrong with the gates of a project that its declaration alone does not show: suites,
    samples and functions that are not there, gates that no version can pass."""
    places = Places(documents.read_yaml(root / FILE, FILE))
    reader = CodeReader(root)
    return tuple(
        fault
        for number, (stage, rules) in enumerate(project.stages.items())
        for name, gate in rules.gates.items()
        for fault in _faults_of_gate(
            gate, root, reader, places.find_place("stages", stage, "gates", name), first=number == 0
        )
    )


def _faults_of_gate(
    gate: declared.AnyGate, root: Path, reader: CodeReader, place: Place | None, first: bool
) -> Iterator[Fault]:
    # Said before a promotion meets it: there the gate would fail, and only a merge could mend it.
    if isinstance(gate, declared.Soak) and first:
        yield Fault("there is no stage below the first, so no version can pass this", place)
    if isinstance(gate, declared.Golden | declared.Latency) and gate.samples:
        yield from _missing_file_faults(root, gate.samples, place)
    if isinstance(gate, declared.Expectations):
        missing = tuple(_missing_file_faults(root, gate.expectations, place))
        suite = root / gate.expectations
        yield from missing or great_expectations.suite_faults(suite, gate.expectations)
    if isinstance(gate, declared.Function):
        yield from _function_faults(gate.run, reader, place)


def _missing_file_faults(root: Path, path: str, place: Place | None) -> Iterator[Fault]:
    if not (root / path).is_file():
        yield Fault(f"there is no {path}", place)
    elif (root / pointer_path(path)).is_file():
        yield Fault(f"DVC tracks {path}, and gates read from Git", place)
    elif large_files.is_pointer_file(root / path):
        yield Fault(f"{path} is a pointer of Git LFS, not its bytes", place, large_files.PULL)


def _function_faults(run: str, reader: CodeReader, place: Place | None) -> Iterator[Fault]:
    # Read from the syntax, not imported: `towpath check` runs nobody's code.
    try:
        signature = reader.step_signature("", run)
    except TowpathError as error:
        for fault in error.faults:
            has_line = fault.place is not None and fault.place.line > 0
            yield fault if has_line else Fault(fault.what, place, fault.hint)
        return
    required = [argument.name for argument in signature.arguments if argument.required]
    if len(required) > 1 or not signature.arguments:
        takes = ", ".join(required) or "none"
        what = f"{signature.function}() takes {takes}; a gate calls it with one argument"
        yield Fault(what, Place(signature.file, signature.line))
