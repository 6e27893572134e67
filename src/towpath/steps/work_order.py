"""What a step's process needs to know to carry the step out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.config.artifact import Artifact, Json
from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.credentials import Secret

if TYPE_CHECKING:
    from towpath.backends.dvc import Store
    from towpath.config.file_declaration import Output
    from towpath.config.pipeline_declaration import AnyStep


class Value(Struct, frozen=True):
    """A small value handed to a step: a parameter, a literal, or a part of a JSON output."""

    value: Json


BYTES = ("inputs", "outputs", "watch", "spill")
"""The folders of a step, in its run's, that hold bytes while it runs: `watch` what watches over a
command's programs, `spill` what does not fit into its memory; beside them is its log."""

CELLS = "cells.json"
"""Of a folder with a file of each cell: which file is of which items."""

Argument: TypeAlias = Artifact | Value


class Order(Struct, frozen=True):
    """One step to be carried out, with everything it depends on; it can be pickled.

    ``root`` is the project's root and ``folder`` the pipeline's, relative to it
    (``flows/training``). ``arguments`` are the bytes and values by argument name; ``formats``
    tells the declared format of an argument whose file name does not. ``directory`` belongs to
    this step of this run: its log, and its outputs until they are stored. ``facts`` are those of
    the steps it consumes, by step; ``trust`` the types that the project lets a model file hold;
    ``libraries`` the modules of installed packages that its code imports, as far as they are known;
    ``code`` the files that the step names as its code, from the root. ``annotations`` are the plain
    types that its function asks for, by argument, as the source says; ``options`` what is declared
    of an argument's table; ``own_formats`` the classes of the project's formats that it uses.
    ``gathered`` are the arguments that hold a file of each cell of another step, ``absent`` those
    of inputs that are not there; ``secrets`` are variables of its process; ``requirements`` names,
    from the root, the file of the packages that it has for itself.
    """

    root: Path
    pipeline: str
    folder: str
    name: str
    step: AnyStep
    arguments: Mapping[str, Argument]
    outputs: Mapping[str, Output]
    directory: Path
    facts: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    trust: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, TableOptions] = field(default_factory=dict)
    own_formats: Mapping[str, str] = field(default_factory=dict)
    gathered: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    requirements: str | None = None

    @property
    def has_own_variables(self) -> bool:
        """Whether its process has variables or packages that others of its run have not."""
        return bool(self.step.env or self.secrets or self.requirements)

    def plain_copy(self) -> Order:
        """The same with its declaration as plain attributes, which is how it crosses to a process.

        The types of a declaration need pydantic, and without that in it a process is forked at
        half the cost.
        """
        return replace(
            self,
            step=_plain_declaration(self.step),
            outputs=_plain_declaration(self.outputs),
            # The process has them as variables already.
            secrets=dict.fromkeys(self.secrets, Secret("")),
        )

    def options_of(self, argument: str) -> TableOptions:
        """What is declared of the text of an argument's table."""
        return self.options.get(argument, NO_OPTIONS)

    @property
    def run(self) -> Path:
        """The directory of the run that this step belongs to."""
        return self.directory.parent

    def find_file(self, name: str) -> str:
        """A file that the step names, from the root: beside the pipeline's, or from there."""
        beside = f"{self.folder}/{name}"
        return beside if (self.root / beside).is_file() else name

    def place_input(self, store: Store, name: str, artifact: Artifact) -> Path:
        """A copy of the step's own: the store's file has no extension, and must not be written
        to."""
        path = self.directory / "inputs" / name / artifact.name
        path.parent.mkdir(parents=True, exist_ok=True)
        store.copy_to(artifact.digest, path)
        return path

    def place_output(self, name: str) -> Path:
        """Where the step writes an output; the folder around it, or that it is, is there."""
        declared = self.outputs[name].path
        path = self.directory / "outputs" / declared
        (path if declared.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        return path

    def remove_bytes(self) -> None:
        """Take away what an attempt has made so far: the next one begins with nothing, and on the
        disk only its log stays."""
        for name in BYTES:
            shutil.rmtree(self.directory / name, ignore_errors=True)

    @property
    def log(self) -> Path:
        """The file that takes what the step prints."""
        return self.directory / "log.txt"


def _plain_declaration(declared: Any) -> Any:
    from towpath.config.declaration import Declaration

    if isinstance(declared, Declaration):
        return SimpleNamespace(**_plain_declaration(vars(declared)))
    if isinstance(declared, Mapping):
        return {name: _plain_declaration(part) for name, part in declared.items()}
    return tuple(map(_plain_declaration, declared)) if isinstance(declared, tuple) else declared
