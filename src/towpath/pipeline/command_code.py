"""The code of a command's step: the files that it names, and what its program imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.config.command_line import UnfitCommand, parse_command
from towpath.config.pipeline_declaration import CommandStep, Step
from towpath.dependencies.command_program import Module, Program, find_program

if TYPE_CHECKING:
    from towpath.dependencies import CodeReader

UNKNOWN = "what code its command runs is not known: `code:` names it"
"""Why a command's step is not reused."""


def is_known(reader: CodeReader, step: Step) -> bool:
    """Whether a key can hold all the code of a step: of a command, where it is a Python program,
    where ``code:`` says it, be it that there is none, or where it has a folder of its own."""
    if not isinstance(step, CommandStep) or "code" in step.model_fields_set:
        return True
    if step.places or step.settings:
        return True
    return _find_program(reader, step).is_known


def digest_command_code(reader: CodeReader, folder: str, step: CommandStep) -> dict[str, str]:
    """A digest for each file that the step names, for each of its words that is one, and for each
    module of its program, by label."""
    files = _find_program(reader, step).files
    return {
        **reader.files(folder, step.code),
        **reader.files("", files),
        **reader.digest_modules(list_command_modules(reader, folder, step)),
    }


def list_command_modules(reader: CodeReader, folder: str, step: CommandStep) -> tuple[Module, ...]:
    """The Python files where reading its code begins."""
    files = (f for f in reader.file_names(folder, step.code) if f.endswith(".py"))
    named = (Module.named(reader.root, file) for file in files)
    return tuple(dict.fromkeys((*_find_program(reader, step).modules, *named)))


def list_command_sources(reader: CodeReader, folder: str, step: CommandStep) -> tuple[str, ...]:
    """Every file of its code, from the root."""
    named = (*reader.file_names(folder, step.code), *_find_program(reader, step).files)
    return tuple(
        dict.fromkeys((*named, *reader.module_sources(list_command_modules(reader, folder, step))))
    )


def find_command_packages(reader: CodeReader, folder: str, step: CommandStep) -> dict[str, str]:
    """The versions of what its modules import, and of the package whose module it runs."""
    versions = reader.module_packages(list_command_modules(reader, folder, step))
    package = _find_program(reader, step).package
    return {**versions, **(reader.versions_of_modules((package,)) if package else {})}


def _find_program(reader: CodeReader, step: CommandStep) -> Program:
    try:
        line = parse_command(step.command, step.shell)
    except UnfitCommand:  # `check` says it, with its place
        return Program()
    apart = (*step.places.values(), *step.settings)
    return find_program(reader.root, line, step.workdir or "", [p.rstrip("/") for p in apart])
