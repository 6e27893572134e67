"""The code of a command's step: the files that it names, and what its program imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.config.command_line import UnfitCommand, parse_command
from towpath.config.pipeline_declaration import CommandStep, Step
from towpath.dependencies.command_program import Module, Program, find_program

if TYPE_CHECKING:
    from towpath.dependencies import Reader

UNKNOWN = "what code its command runs is not known: `code:` names it"
"""Why a command's step is not reused."""


def is_known(reader: Reader, step: Step) -> bool:
    """Whether a key can hold all the code of a step: of a command, where it is a Python program,
    where ``code:`` says it, be it that there is none, or where it has a folder of its own."""
    if not isinstance(step, CommandStep) or "code" in step.model_fields_set:
        return True
    if step.places or step.settings:
        return True
    return _program(reader, step).is_known


def digests(reader: Reader, folder: str, step: CommandStep) -> dict[str, str]:
    """A digest for each file that the step names, for each of its words that is one, and for each
    module of its program, by label."""
    files = _program(reader, step).files
    return {
        **reader.files(folder, step.code),
        **reader.files("", files),
        **reader.modules(modules(reader, folder, step)),
    }


def modules(reader: Reader, folder: str, step: CommandStep) -> tuple[Module, ...]:
    """The Python files where reading its code begins."""
    files = (f for f in reader.file_names(folder, step.code) if f.endswith(".py"))
    named = (Module.named(reader.root, file) for file in files)
    return tuple(dict.fromkeys((*_program(reader, step).modules, *named)))


def sources(reader: Reader, folder: str, step: CommandStep) -> tuple[str, ...]:
    """Every file of its code, from the root."""
    named = (*reader.file_names(folder, step.code), *_program(reader, step).files)
    return tuple(dict.fromkeys((*named, *reader.module_sources(modules(reader, folder, step)))))


def packages(reader: Reader, folder: str, step: CommandStep) -> dict[str, str]:
    """The versions of what its modules import, and of the package whose module it runs."""
    found = reader.module_packages(modules(reader, folder, step))
    package = _program(reader, step).package
    return {**found, **(reader.versions((package,)) if package else {})}


def _program(reader: Reader, step: CommandStep) -> Program:
    try:
        line = parse_command(step.command, step.shell)
    except UnfitCommand:  # `check` says it, with its place
        return Program()
    apart = (*step.places.values(), *step.settings)
    return find_program(reader.root, line, step.workdir or "", [p.rstrip("/") for p in apart])
