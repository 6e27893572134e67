"""One reading of a project's code: each file once, for all the steps of a run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from towpath.config.source_folders import module_folders
from towpath.dependencies import code_digest, step_function
from towpath.dependencies.code_digest import CodeDigests
from towpath.dependencies.command_program import Module
from towpath.dependencies.installed_packages import InstalledPackages, read_installed
from towpath.dependencies.module_search import OURS, ModuleFinder, SearchPath, loose_folders
from towpath.dependencies.names_used import find_bindings
from towpath.dependencies.notebook_source import NOTEBOOK, Notebook, parse_notebook
from towpath.dependencies.project_code import ImportedPackage, ProjectCode, WholeModule, read_code
from towpath.dependencies.reach import Node, Reach
from towpath.dependencies.step_function import Definition, StepSignature, read_step_signature
from towpath.errors import DeclarationError, Fault, did_you_mean

KEPT = ".towpath/state/environment.json"


class CodeReader:
    """A snapshot of the code: make one for each run or plan. Nothing of the project is imported.
    ``folder`` is a pipeline's folder from the root (``flows/training``), ``run`` what its step says
    (``train``, ``shared.publish:to_folder``). Faults are raised as DeclarationError."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._finder = ModuleFinder()
        self._digests: dict[tuple[str, str], CodeDigests] = {}
        self._closures: dict[tuple[str, str], set[Node]] = {}
        self._definitions: dict[tuple[str, str], Definition] = {}

    @cached_property
    def environment(self) -> InstalledPackages:
        """What is installed; kept in ``.towpath/state`` for the next process."""
        return read_installed(self.root / KEPT)

    def step_signature(self, folder: str, run: str) -> StepSignature:
        code, definition = self._pipeline_reach(folder).code, self._find_definition(folder, run)
        if not isinstance(definition.node, ast.FunctionDef):  # a format's class: this refuses it
            definition = step_function.find_function(code, run)
        assert isinstance(definition.node, ast.FunctionDef)
        return read_step_signature(code, definition.symbol, definition.node)

    def format_class(self, folder: str, run: str) -> frozenset[str] | None:
        """The methods of the class that reads and writes a format of the project's own; None where
        it has bases, which may have others. From then on ``digests``, ``source_files``,
        ``package_versions`` and ``libraries`` take it as they take a function."""
        key = folder, run
        definition = self._definitions.get(key)
        if definition is None or not isinstance(definition.node, ast.ClassDef):
            definition = step_function.find_class(self._pipeline_reach(folder).code, run)
            self._definitions[key] = definition
        assert isinstance(definition.node, ast.ClassDef)
        return None if definition.node.bases else frozenset(find_bindings(definition.node.body))

    def digests(self, folder: str, run: str, extra: Sequence[str] = ()) -> dict[str, str]:
        """A digest for each name that a step's function reaches, and each extra file, by labels for
        people: ``steps.clean``, ``paths (whole module)``, ``steps (at import)``, ``fit.R``."""
        digests = self._digests_of(folder).of_closure(self._step_closure(folder, run))
        return {**digests, **self.files(folder, extra)}

    def files(self, folder: str, extra: Sequence[str]) -> dict[str, str]:
        """A digest for each file or folder that a step names, whatever it holds."""
        return code_digest.digest_named(self.root, folder, extra)

    def file_names(self, folder: str, extra: Sequence[str]) -> tuple[str, ...]:
        """The files that a step names, in folders and patterns too, from the root."""
        files = (f for pattern in extra for f in code_digest.find_files(self.root, folder, pattern))
        return tuple(file.relative_to(self.root).as_posix() for file in files)

    def find_notebook(self, folder: str, path: str) -> str:
        """The file of a notebook from the root: beside the pipeline, else from there."""
        beside = f"{folder}/{path}"
        if (self.root / beside).is_file() or not (self.root / path).is_file():
            return beside
        return path

    def notebook(self, folder: str, path: str) -> Notebook:
        """A notebook's code. DeclarationError for what is none, or not there."""
        file = self.find_notebook(folder, path)
        if (self.root / file).is_file():
            return parse_notebook(read_code(self.root / file, file), file)
        near_files = [
            near.relative_to(start).as_posix()
            for start in (self.root / folder, self.root)
            for near in (start / Path(path).parent).glob(f"*{NOTEBOOK}")
        ]
        hint = did_you_mean(path, near_files) or f"it is looked for in {folder}/ and at the root"
        raise DeclarationError(Fault(f"there is no notebook {path}", hint=hint))

    def source_files(self, folder: str, run: str) -> tuple[str, ...]:
        """The files of the project that a step's function reaches, from the root, sorted."""
        return self._pipeline_reach(folder).files(self._step_closure(folder, run))

    def package_versions(self, folder: str, run: str) -> dict[str, str]:
        """The distributions that the reached code imports, with all they require, by version."""
        return self.versions_of_modules(Reach.package_names(self._step_closure(folder, run)))

    def libraries(self, folder: str, run: str) -> tuple[str, ...]:
        """The modules of installed packages that the reached code imports, sorted. Those of
        editable packages are left out: their code is at work, like the project's."""
        closure, is_fixed = self._step_closure(folder, run), self.environment.is_fixed
        modules = {node.dotted for node in closure if isinstance(node, ImportedPackage)}
        return tuple(sorted(name for name in modules if is_fixed(name.partition(".")[0])))

    def versions_of_modules(self, modules: Iterable[str]) -> dict[str, str]:
        """The same for modules that a step uses without naming them (``pyarrow`` for .parquet)."""
        return self.environment.versions_of_modules(modules)

    def digest_modules(self, modules: Iterable[Module]) -> dict[str, str]:
        """A digest for each of these modules, whole, and for what they import, by label."""
        digests: dict[str, str] = {}
        for module in modules:
            own = self._digests_of(module.folder, self._program_of(module))
            digests |= own.of_closure(self._whole_closure(module))
        return digests

    def module_sources(self, modules: Iterable[Module]) -> tuple[str, ...]:
        """The files that these modules and what they import stand in, from the root, sorted."""
        return self._pipeline_reach("").files(
            node for module in modules for node in self._whole_closure(module)
        )

    def named_sources(self, modules: Iterable[Module]) -> tuple[str, ...]:
        """The same files without those that dynamic code (`pickle.loads`) may load unnamed."""
        files: set[str] = set()
        for module in modules:
            reach = self._pipeline_reach(module.folder, self._program_of(module))
            start = WholeModule(f"{self.root}/{module.file}")
            files.update(reach.files(reach.find_closure([start], is_sure=True)))
        return tuple(sorted(files))

    def module_packages(self, modules: Iterable[Module]) -> dict[str, str]:
        """The distributions that these modules import, with all they require, by version."""
        versions: dict[str, str] = {}
        for module in modules:
            versions |= self.versions_of_modules(Reach.package_names(self._whole_closure(module)))
        return versions

    def digest_carried(self, folder: str, run: str) -> dict[str, str]:
        """The classes and functions that a step may put into an object, with what they reach. A
        pickle holds only their names: whoever reads it again runs their code of that day, so these
        digests belong to the key of a step that reads such an output."""
        reach = self._pipeline_reach(folder)
        objects = reach.carried_nodes(self._step_closure(folder, run))
        return self._digests_of(folder).of_closure(reach.find_closure(objects))

    def _whole_closure(self, module: Module) -> set[Node]:
        program = self._program_of(module)
        key = f"{module.folder} ({'run' if program else 'whole'})", module.file
        if key not in self._closures:
            start = WholeModule(f"{self.root}/{module.file}")
            reach = self._pipeline_reach(module.folder, program)
            self._closures[key] = reach.find_closure([start])
        return self._closures[key]

    def _program_of(self, module: Module) -> str:
        """The file of a module that does more where it is run than where it is imported."""
        file = f"{self.root}/{module.file}"
        code = self._pipeline_reach(module.folder).code
        return file if module.is_run and b"__main__" in code.read_python(file) else ""

    def _step_closure(self, folder: str, run: str) -> set[Node]:
        key = folder, run
        if key not in self._closures:
            starts = self._find_definition(folder, run).starts()
            self._closures[key] = self._pipeline_reach(folder).find_closure(starts)
        return self._closures[key]

    def _find_definition(self, folder: str, run: str) -> Definition:
        key = folder, run
        if key not in self._definitions:
            code = self._pipeline_reach(folder).code
            self._definitions[key] = step_function.find_function(code, run)
        return self._definitions[key]

    def _pipeline_reach(self, folder: str, program: str = "") -> Reach:
        return self._digests_of(folder, program).reach

    def _digests_of(self, folder: str, program: str = "") -> CodeDigests:
        # As in a step's process: beside the pipeline first, then at the root and in `src/`.
        key = folder, program
        if key not in self._digests:
            beside = str((self.root / folder).resolve())
            own = (str(path) for path in module_folders(self.root) if path != OURS)
            path = SearchPath(tuple(dict.fromkeys((beside, *own))), self._further_folders)
            code = ProjectCode(self.root, path, self._finder, program)
            self._digests[key] = CodeDigests(Reach(code))
        return self._digests[key]

    @cached_property
    def _further_folders(self) -> tuple[str, ...]:
        folders = dict.fromkeys((*loose_folders(), *self.environment.editable_folders()))
        return tuple(folder for folder in folders if not OURS.is_relative_to(folder))
