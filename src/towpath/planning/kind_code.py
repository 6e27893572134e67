"""The code that each kind of step runs: a type for each that runs some of the project's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from towpath.config.command_line import UnfitCommand, parse_command
from towpath.config.names_and_paths import find_sql_file
from towpath.config.pipeline_declaration import (
    CommandStep,
    CreateModel,
    DuckDBStep,
    FunctionStep,
    NotebookStep,
    QualityCheck,
    Step,
)
from towpath.dependencies.command_program import Module, Program, find_program
from towpath.planning import model_code

if TYPE_CHECKING:
    from towpath.dependencies import CodeReader
    from towpath.pipeline.step_graph import Node

KindOfStep = TypeVar("KindOfStep", bound=Step)


class StepCode(Struct, Generic[KindOfStep], frozen=True):
    """The code of a step that runs none of the project's: the files that it names.

    ``folder`` is the pipeline's, from the root; digests and versions are by their labels.
    """

    reader: CodeReader
    folder: str
    node: Node
    step: KindOfStep

    @property
    def is_known(self) -> bool:
        """Whether a key can hold all the code of the step."""
        return True

    def digest_own(self) -> dict[str, str]:
        """What the step reaches, with what it names."""
        return self.reader.files(self.folder, list_named_files(self.step))

    def digest_carried(self) -> dict[str, str]:
        """What may be in the objects that the step makes: a model's file holds its class's name
        only."""
        return {}

    def list_sources(self) -> Iterable[str]:
        """The files, from the root, of what the step reaches."""
        return ()

    def package_versions(self) -> dict[str, str]:
        """The versions of what the step's code imports."""
        return {}


class FunctionCode(StepCode[FunctionStep], frozen=True):
    """The names that a function reaches."""

    def digest_own(self) -> dict[str, str]:
        return self.reader.digests(self.folder, self.step.run, self.step.code)

    def digest_carried(self) -> dict[str, str]:
        return self.reader.digest_carried(self.folder, self.step.run)

    def list_sources(self) -> Iterable[str]:
        return self.reader.source_files(self.folder, self.step.run)

    def package_versions(self) -> dict[str, str]:
        return self.reader.package_versions(self.folder, self.step.run)


class CommandCode(StepCode[CommandStep], frozen=True, dict=True):
    """The files that a command names, and what its program imports."""

    @cached_property
    def program(self) -> Program:
        """What is started, as far as the command's words say it."""
        try:
            line = parse_command(self.step.command, self.step.shell)
        except UnfitCommand:  # `check` says it, with its place
            return Program()
        apart = [path.rstrip("/") for path in (*self.step.places.values(), *self.step.settings)]
        return find_program(self.reader.root, line, self.step.workdir or "", apart)

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        files = _list_python_files(self)
        named = (Module.named(self.reader.root, file) for file in files)
        return tuple(dict.fromkeys((*self.program.modules, *named)))

    @property
    def is_known(self) -> bool:
        """Whether it is a Python program, or ``code:`` says it, be it that there is none, or it has
        a folder of its own."""
        step = self.step
        has_own_folder = bool(step.places or step.settings)
        return "code" in step.model_fields_set or has_own_folder or self.program.is_known

    def digest_own(self) -> dict[str, str]:
        return {
            **self.reader.files(self.folder, self.step.code),
            **self.reader.files("", self.program.files),
            **self.digest_carried(),
        }

    def digest_carried(self) -> dict[str, str]:
        # Any class of its code may be in what it wrote.
        return self.reader.digest_modules(self.modules)

    def list_sources(self) -> tuple[str, ...]:
        named = (*self.reader.file_names(self.folder, self.step.code), *self.program.files)
        return tuple(dict.fromkeys((*named, *self.reader.module_sources(self.modules))))

    def package_versions(self) -> dict[str, str]:
        versions = self.reader.module_packages(self.modules)
        if package := self.program.package:  # `python -m` of a package
            versions |= self.reader.versions_of_modules((package,))
        return versions


class NotebookCode(StepCode[NotebookStep], frozen=True, dict=True):
    """The cells of a notebook, and what these import."""

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        # Its imports look beside the pipeline first, wherever the notebook itself stands.
        files = (self._find_file(), *_list_python_files(self))
        return tuple(Module(file, self.folder) for file in dict.fromkeys(files))

    def _find_file(self) -> str:
        return self.reader.find_notebook(self.folder, self.step.notebook)

    def digest_own(self) -> dict[str, str]:
        return {**self.reader.files(self.folder, self.step.code), **self.digest_carried()}

    def digest_carried(self) -> dict[str, str]:
        return self.reader.digest_modules(self.modules)

    def list_sources(self) -> tuple[str, ...]:
        """The notebook first."""
        named = self.reader.file_names(self.folder, self.step.code)
        sources = (*named, *self.reader.module_sources(self.modules))
        return tuple(dict.fromkeys((self._find_file(), *sources)))

    def package_versions(self) -> dict[str, str]:
        return self.reader.module_packages(self.modules)


class ModelCode(StepCode[CreateModel], frozen=True):
    """The files that go into a model, whole and comments too."""

    def digest_own(self) -> dict[str, str]:
        own = [file for file in self.list_sources() if not file.startswith("/")]
        return {**super().digest_own(), **self.reader.files("", own)}

    def list_sources(self) -> Iterable[str]:
        return model_code.list_model_sources(self.reader, self.folder, self.node)

    def package_versions(self) -> dict[str, str]:
        modules = model_code.list_model_modules(self.reader, self.folder, self.node)
        return self.reader.module_packages(modules)


_KINDS: dict[type[Step], type[StepCode[Any]]] = {
    FunctionStep: FunctionCode,
    CommandStep: CommandCode,
    NotebookStep: NotebookCode,
    CreateModel: ModelCode,
}


def find_step_code(reader: CodeReader, folder: str, node: Node) -> StepCode[Any]:
    """The code of a step, by its kind."""
    kind = next((kind for kind in type(node.step).__mro__ if kind in _KINDS), Step)
    return _KINDS.get(kind, StepCode)(reader, folder, node, node.step)


def list_named_files(step: Step) -> tuple[str, ...]:
    """What a step names as its code; the suite of a check is code too."""
    if isinstance(step, CreateModel) and step.card:
        return (*step.code, step.card)
    if isinstance(step, DuckDBStep) and (file := find_sql_file(step.sql)):
        return (*step.code, file)
    suite = step.expectations if isinstance(step, QualityCheck) else None
    return (*step.code, suite) if suite else tuple(step.code)


def _list_python_files(code: StepCode[CommandStep] | StepCode[NotebookStep]) -> list[str]:
    files = code.reader.file_names(code.folder, code.step.code)
    return [file for file in files if file.endswith(".py")]
